"""Indices of loads and stores: shifted, exchanged, too narrow, or computed by the wrong arithmetic.

Most operators keep the wrong index within the buffer: a load then reads a wrong but defined element, unless the element
belongs to an accumulator that the kernel has not written yet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad, prim

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.parameters import STEPS, choice, replacement
from tvm_mutate.operators.tir_nodes import another_constant, constant_like, literal, nodes_within, storing, with_node

# A set of exact types: TVM's own checks of instances take several times as long.
_ARITHMETIC = frozenset(
    {prim.Add, prim.Sub, prim.Mul, prim.Min, prim.Max, prim.FloorDiv, prim.FloorMod, prim.Div, prim.Mod}
)
# A product replaces no other operation, since a product may overflow.
_REPLACED: dict[str, Any] = {"add": prim.Add, "subtract": prim.Sub, "multiply": prim.Mul}
_CONSTANTS: dict[str, tuple[Any, float]] = {
    "factor": ((prim.Mul, prim.FloorDiv, prim.FloorMod, prim.Div, prim.Mod), 1),
    "offset": ((prim.Add, prim.Sub), -math.inf),
}


def _extent(access: Any, dimension: int) -> int | None:
    """The extent of the accessed buffer in a dimension; None if unknown or 1, or if the index is a vector."""
    shape = access.buffer.shape if isinstance(access, tirx.BufferStore) else access.source.shape
    indices = access.indices
    if not -len(indices) <= dimension < len(indices) == len(shape):
        return None
    extent = literal(shape[dimension])
    if extent is None or extent < 2 or indices[dimension].ty.dtype.lanes > 1:
        return None
    return int(extent)


def _with_indices(access: Any, indices: list[Any]) -> Any:
    if isinstance(access, tirx.BufferStore):
        return tirx.BufferStore(access.buffer, access.value, indices)
    return tirx.BufferLoad(access.source, indices)


def _with_index(access: Any, dimension: int, index: Any) -> Any:
    indices = list(access.indices)
    indices[dimension] = index
    return _with_indices(access, indices)


def _within(index: Any, extent: int) -> Any:
    """The index limited to a dimension of this extent."""
    return prim.Max(prim.Min(index, constant_like(index, extent - 1)), constant_like(index, 0))


def _moved(index: Any, by: int, extent: int) -> Any | None:
    """A valid index moved by ``by``, at most to the edge of the buffer."""
    at = literal(index)
    if at is not None:
        return another_constant(index, min(max(int(at) + by, 0), extent - 1))
    if by < 0:
        return prim.Max(index - constant_like(index, -by), constant_like(index, 0))
    return prim.Min(index + constant_like(index, by), constant_like(index, extent - 1))


def shift(access: Any, parameters: Parameters) -> Any | None:
    """The load or store with one index moved within the buffer; the last index without the parameter ``dimension``."""
    by, dimension = int(parameters["by"]), -int(parameters.get("dimension", 1))
    extent = _extent(access, dimension) if dimension < 0 else None
    moved = None if extent is None or by == 0 else _moved(access.indices[dimension], by, extent)
    return None if moved is None else _with_index(access, dimension, moved)


def _overrun(load: Any, parameters: Parameters) -> Any | None:
    by = int(parameters["by"])
    if by == 0 or _extent(load, -1) is None:
        return None
    index = load.indices[-1]
    distance = constant_like(index, abs(by))
    return _with_index(load, -1, index + distance if by > 0 else index - distance)


def _rewritten(load: Any, rewrite: Callable[[Any], Any | None]) -> Any | None:
    """The load with the first index that ``rewrite`` changes, limited to the buffer."""
    for dimension, index in enumerate(load.indices):
        if type(index) not in _ARITHMETIC:  # most indices are single variables
            continue
        extent = _extent(load, dimension)
        changed = None if extent is None else _outermost(index, rewrite)
        if extent is not None and changed is not None:
            return _with_index(load, dimension, _within(changed, extent))
    return None


def _outermost(index: Any, rewrite: Callable[[Any], Any | None]) -> Any | None:
    """The index with the outermost node replaced for which ``rewrite`` gives a replacement."""
    replacement = rewrite(index)
    if replacement is not None or type(index) not in _ARITHMETIC:
        return replacement
    left = _outermost(index.a, rewrite)
    if left is not None:
        return type(index)(left, index.b)
    right = _outermost(index.b, rewrite)
    return None if right is None else type(index)(index.a, right)


def _replace_arithmetic(load: Any, parameters: Parameters) -> Any | None:
    before, after = (_REPLACED[str(parameters[name])] for name in ("from", "to"))
    if before is after:
        return None
    return _rewritten(load, lambda node: after(node.a, node.b) if isinstance(node, before) else None)


def _perturb_constant(load: Any, parameters: Parameters) -> Any | None:
    def with_constant(node: Any) -> Any | None:
        before = literal(node.b) if isinstance(node, kinds) else None
        changed = None if before is None or before + by < least else another_constant(node.b, before + by)
        return None if changed is None else type(node)(node.a, changed)

    by, (kinds, least) = int(parameters["by"]), _CONSTANTS[str(parameters["of"])]
    return _rewritten(load, with_constant)


def _narrow(load: Any, parameters: Parameters) -> Any | None:
    half = 1 << int(str(parameters["type"]).removeprefix("int")) - 1
    for dimension in reversed(range(len(load.indices))):
        index, extent = load.indices[dimension], _extent(load, dimension)
        if extent is not None and extent > half and literal(index) is None:
            return _with_index(load, dimension, _within(_wrapped(index, half), extent))
    return None


def _wrapped(index: Any, half: int) -> Any:
    """The value of a non-negative index after a wrap-around in the range from ``-half`` to ``half - 1``.

    Not a cast: TVM's analyzer assumes that casts lose nothing, and would remove the limits.
    """
    centred = prim.Mod(prim.Add(index, constant_like(index, half)), constant_like(index, 2 * half))
    return prim.Sub(centred, constant_like(index, half))


def _drop_broadcast(store: Any, _parameters: Parameters) -> Any | None:
    for load in nodes_within(store.value, TensorLoad):
        pairs = list(zip(reversed(load.indices), reversed(store.indices), strict=False))
        for number, (index, wanted) in enumerate(pairs, start=1):
            same_type = index.ty.dtype == wanted.ty.dtype
            if literal(index) == 0 and literal(wanted) is None and same_type:
                other = _with_index(load, -number, wanted)
                return storing(store, with_node(store.value, load, other))
    return None


def _swap(access: Any, _parameters: Parameters) -> Any | None:
    indices = list(access.indices)
    for first, second in combinations(reversed(range(len(indices))), 2):
        extent = _extent(access, first)
        same = tvm_ffi.structural_equal(indices[first], indices[second])
        if extent is not None and extent == _extent(access, second) and not same:
            indices[first], indices[second] = indices[second], indices[first]
            return _with_indices(access, indices)
    return None


_examples = partial(
    kernel_examples,
    own_templates={
        "transposable": """
            A: (8, 8), B: (8, 8)
            for i, j in T.grid(8, 8):
                ...
        """,
        "one-row": """
            A: (1, 8), B: (8, 8)
            for i, j in T.grid(8, 8):
                ...
        """,
        "channels": """
            A: (4, 4, 7, 7), B: (4, 4, 7, 9)
            for n, c, h, w in T.grid(4, 4, 7, 7):
                ...
        """,
        "strided": """
            A: (4, 600), B: (4, 300)
            for i, j in T.grid(4, 300):
                ...
        """,
        "wide": """
            A: (4, 40000), B: (4, 300)
            for i, j in T.grid(4, 300):
                ...
        """,
    },
)
_operator = partial(Operator, slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN), category=Category.MEMORY)
_swap_operator = partial(_operator, slots=(Slot.KERNEL,))  # buffers are flat after the TIR pipeline

OPERATORS = (
    _operator(
        name="tir.shift-load-index",
        fault="an index that is one off after padding, flattening or inlining (incorrect index, Shen et al. 2021)",
        description="shifts the index of a load in one dimension within the buffer, so that the load reads the "
        "neighbouring element",
        rule=TirRule((TensorLoad,), shift),
        parameters=(
            Parameter("by", "how far the index moves", -1, magnitude=STEPS),
            Parameter("dimension", "the dimension in which it moves, counted from the last, which is 1", 1),
        ),
        variants=({"by": -1},),
        more_variants=({"by": 1}, {"by": -1, "dimension": 2}, {"by": 1, "dimension": 2}),
        examples=_examples("""
            rows | by=-1
            B[i, j] = A[i, j] + A[i, 3]
            B[i, j] = A[i, T.max(j - 1, 0)] + A[i, 2]
            rows | by=1
            B[i, j] = A[i, j]
            B[i, j] = A[i, T.min(j + 1, 15)]
            rows | by=-1 dimension=2
            B[i, j] = A[i, j] + A[0, j]
            B[i, j] = A[T.max(i - 1, 0), j] + A[0, j]
        """),
        undefined_behaviour=True,  # a kernel that reads its own output may read an element before the first write
    ),
    _operator(
        name="tir.overrun-load",
        fault="an index that is one off and is not limited to the buffer (incorrect index, Shen et al. 2021)",
        description="shifts the last index of a load beyond the edge of its row, and at the end of the buffer "
        "beyond the buffer",
        rule=TirRule((TensorLoad,), _overrun),
        parameters=(Parameter("by", "how far the index moves", 1, magnitude=STEPS),),
        variants=({"by": 1}, {"by": -1}),
        examples=_examples("""
            rows | by=1
            B[i, j] = A[i, j]
            B[i, j] = A[i, j + 1]
            rows | by=-1
            B[i, j] = A[i, j] + A[0, 0]
            B[i, j] = A[i, j - 1] + A[0, -1]
        """),
        undefined_behaviour=True,
        by_default=False,
    ),
    _operator(
        name="tir.replace-index-arithmetic",
        fault="an index computed with a wrong operation after fusing, splitting or padding (incorrect index, Shen et "
        "al. 2021)",
        description="replaces the outermost addition, subtraction or multiplication in the index of a load, and "
        "limits the index to the buffer",
        rule=TirRule((TensorLoad,), _replace_arithmetic),
        **replacement("operation", "add>subtract multiply>add subtract>add", more="multiply>subtract"),
        examples=_examples("""
            strided | from=add to=subtract
            B[i, j] = A[i, j * 2 + 1]
            B[i, j] = A[i, T.max(T.min(j * 2 - 1, 599), 0)]
            strided | from=multiply to=add
            B[i, j] = A[3 - i, j * 2 + 1]
            B[i, j] = A[3 - i, T.max(T.min(j + 2 + 1, 599), 0)]
        """),
    ),
    _operator(
        name="tir.perturb-index-constant",
        fault="a stride, dilation, split factor or offset that is one off (incorrect index, Shen et al. 2021)",
        description="changes the outermost constant factor or divisor in the index of a load, or the outermost "
        "constant summand, and limits the index to the buffer",
        rule=TirRule((TensorLoad,), _perturb_constant),
        parameters=(
            Parameter("by", "what is added to the constant", 1, magnitude=STEPS),
            Parameter(
                "of", "whether a factor or divisor, or a summand is changed", "factor", choices=tuple(_CONSTANTS)
            ),
        ),
        variants=({"by": 1}, {"by": -1}),
        more_variants=({"by": 1, "of": "offset"}, {"by": -1, "of": "offset"}),
        examples=_examples("""
            strided | by=1
            B[i, j] = A[i, j * 2 + 1]
            B[i, j] = A[i, T.max(T.min(j * 3 + 1, 599), 0)]
            strided | by=-1
            B[i, j] = A[i // 3, j]
            B[i, j] = A[T.max(T.min(i // 2, 3), 0), j]
            strided | of=offset
            B[i, j] = A[i, (j + 3) // 2]
            B[i, j] = A[i, T.max(T.min((j + 4) // 2, 599), 0)]
        """),
    ),
    _swap_operator(
        name="tir.drop-broadcast",
        fault="a loop variable as the index of a dimension that is broadcast, where the index is 0 (tensor shape "
        "problems, Shen et al. 2021)",
        description="reads with the index of the store where the first load with an index 0 should read the same "
        "element for all; in a dimension of extent 1 the load leaves its row and, at the end, the buffer",
        rule=TirRule((tirx.BufferStore,), _drop_broadcast),
        examples=_examples("""
            transposable
            B[i, j] = A[0, j] + A[i, j]
            B[i, j] = A[i, j] + A[i, j]
            one-row
            B[i, j] = A[0, j]
            B[i, j] = A[i, j]
        """),
        undefined_behaviour=True,
        by_default=False,
    ),
    _operator(
        name="tir.narrow-index",
        fault="an index in a type that is too narrow for it and wraps around (type problems, Shen et al. 2021; TVM's "
        "NarrowDataType)",
        description="wraps the index of a load around in a type that is too narrow for its dimension; negative "
        "indices read the first element",
        rule=TirRule((TensorLoad,), _narrow),
        **choice("type", "the type in which the index wraps around", "int8", "int16", default="int8"),
        examples=_examples("""
            strided
            B[i, j] = A[i, j]
            B[i, j] = A[i, T.max(T.min(T.truncmod(j + 128, 256) - 128, 599), 0)]
            wide | type=int16
            B[i, j] = A[0, i * 300 + j]
            B[i, j] = A[0, T.max(T.min(T.truncmod(i * 300 + j + 32768, 65536) - 32768, 39999), 0)]
        """),
    ),
    _swap_operator(
        name="tir.swap-load-indices",
        fault="data read in another layout than it was written in (layout problems, Shen et al. 2021)",
        description="exchanges the last two indices of a load that differ although their dimensions have the same "
        "extent",
        rule=TirRule((TensorLoad,), _swap),
        examples=_examples("""
            transposable
            B[i, j] = A[i, j] + A[0, 0]
            B[i, j] = A[j, i] + A[0, 0]
            channels
            B[n, c, h, w] = A[n, c, 3, 3]
            B[n, c, h, w] = A[c, n, 3, 3]
        """),
        undefined_behaviour=True,  # a kernel that reads its own output may read an element before the first write
    ),
    _swap_operator(
        name="tir.swap-store-indices",
        fault="data written in another layout than it is read in (layout problems, Shen et al. 2021)",
        description="exchanges the last two indices of a store that differ although their dimensions have the same "
        "extent",
        rule=TirRule((tirx.BufferStore,), _swap),
        examples=_examples("""
            transposable
            B[i, j] = A[i, j]
            B[j, i] = A[i, j]
            channels
            B[n, c, h, w] = A[n, c, h, w]
            B[c, n, h, w] = A[n, c, h, w]
        """),
    ),
)

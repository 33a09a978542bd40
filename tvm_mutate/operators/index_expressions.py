"""Memory & Initialisation: the arithmetic in the indices of loads changed.

Of the index of a load the outermost node that an operator knows is changed, in the first dimension that has one, and
the index is held within the buffer: what is read is wrong, but well defined unless it is an accumulator that the
kernel has not written yet. Stores are left alone, since elements that are never written have no defined value. A
product takes no other operation's place: it may overflow.
"""

from __future__ import annotations

from typing import Any

from tvm.ir import TensorLoad, prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.bounded_indices import extent_of, held_within, rewritten_within, with_index
from tvm_mutate.operators.parameters import STEPS
from tvm_mutate.operators.tir_nodes import another_constant, constant_like, literal

_SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)
_ARITHMETIC: dict[str, Any] = {"add": prim.Add, "subtract": prim.Sub, "multiply": prim.Mul}
_REPLACEMENTS = ("add", "subtract")
_SCALES = (prim.Mul, prim.FloorDiv, prim.FloorMod, prim.Div, prim.Mod)
_NARROW_TYPES = ("int8", "int16")


def _replace(load: Any, parameters: Parameters) -> Any | None:
    before, after = (_ARITHMETIC[str(parameters[name])] for name in ("from", "to"))
    if before is after:
        return None
    return rewritten_within(load, lambda node: after(node.a, node.b) if isinstance(node, before) else None)


def _perturb(load: Any, parameters: Parameters) -> Any | None:
    return rewritten_within(load, lambda node: _with_factor(node, int(parameters["by"])))


def _with_factor(node: Any, by: int) -> Any | None:
    """A product, quotient or remainder with its constant changed; None for others, and where it would become 0."""
    factor = literal(node.b) if isinstance(node, _SCALES) else None
    changed = None if factor is None or factor + by < 1 else another_constant(node.b, factor + by)
    return None if changed is None else type(node)(node.a, changed)


def _narrow(load: Any, parameters: Parameters) -> Any | None:
    half = 1 << int(str(parameters["type"]).removeprefix("int")) - 1
    for dimension in reversed(range(len(load.indices))):
        index, extent = load.indices[dimension], extent_of(load, dimension)
        if extent is not None and extent > half and literal(index) is None:
            return with_index(load, dimension, held_within(_wrapped(index, half), extent))
    return None


def _wrapped(index: Any, half: int) -> Any:
    """What an index, which is never negative, comes to in a type that holds numbers from ``-half`` on.

    Written with a remainder: of casts TVM's analyzer assumes that they lose nothing, and it would take the bounds away.
    """
    centred = prim.Mod(prim.Add(index, constant_like(index, half)), constant_like(index, 2 * half))
    return prim.Sub(centred, constant_like(index, half))


_SCRIPT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 600), "float32"), B: T.Buffer((4, 300), "float32")):
    for i, j in T.grid(4, 300):
        B[i, j] = A[{}]
"""
_WIDE = _SCRIPT.replace("600", "40000")

REPLACE_INDEX_ARITHMETIC = Operator(
    name="tir.replace-index-arithmetic",
    fault="an index computed with a wrong operation after fusing, splitting or padding (incorrect index, Shen et al. "
    "2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="replaces the outermost addition, subtraction or multiplication in the index of a load, which is "
    "then held within the buffer",
    rule=TirRule((TensorLoad,), _replace),
    parameters=(
        Parameter("from", "the operation that is replaced", choices=tuple(_ARITHMETIC)),
        Parameter("to", "the operation that takes its place", choices=_REPLACEMENTS),
    ),
    variants=({"from": "add", "to": "subtract"}, {"from": "multiply", "to": "add"}, {"from": "subtract", "to": "add"}),
    more_variants=({"from": "multiply", "to": "subtract"},),
    examples=(
        Example(
            _SCRIPT.format("i, j * 2 + 1"),
            _SCRIPT.format("i, T.max(T.min(j * 2 - 1, 599), 0)"),
            {"from": "add", "to": "subtract"},
        ),
        Example(
            _SCRIPT.format("3 - i, j * 2 + 1"),
            _SCRIPT.format("3 - i, T.max(T.min(j + 2 + 1, 599), 0)"),
            {"from": "multiply", "to": "add"},
        ),
    ),
)

PERTURB_INDEX_CONSTANT = Operator(
    name="tir.perturb-index-constant",
    fault="a stride, dilation or split factor that is one off (incorrect index, Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="changes the outermost constant factor or divisor in the index of a load, which is then held "
    "within the buffer; summands are for tir.shift-load-index",
    rule=TirRule((TensorLoad,), _perturb),
    parameters=(Parameter("by", "what is added to the constant", 1, magnitude=STEPS),),
    variants=({"by": 1}, {"by": -1}),
    examples=(
        Example(_SCRIPT.format("i, j * 2 + 1"), _SCRIPT.format("i, T.max(T.min(j * 3 + 1, 599), 0)"), {"by": 1}),
        Example(_SCRIPT.format("i // 3, j"), _SCRIPT.format("T.max(T.min(i // 2, 3), 0), j"), {"by": -1}),
    ),
)

NARROW_INDEX = Operator(
    name="tir.narrow-index",
    fault="an index in a type that is too narrow for it and wraps around (type problems, Shen et al. 2021; TVM's "
    "NarrowDataType)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="wraps the index of a load around as a type would that is too narrow for its dimension, and holds it "
    "within the buffer: what comes out negative reads the first element",
    rule=TirRule((TensorLoad,), _narrow),
    parameters=(Parameter("type", "the type in which the index wraps around", "int8", choices=_NARROW_TYPES),),
    variants=({"type": "int8"},),
    more_variants=({"type": "int16"},),
    examples=(
        Example(
            _SCRIPT.format("i, j"),
            _SCRIPT.format("i, T.max(T.min(T.truncmod(j + 128, 256) - 128, 599), 0)"),
        ),
        Example(
            _WIDE.format("0, i * 300 + j"),
            _WIDE.format("0, T.max(T.min(T.truncmod(i * 300 + j + 32768, 65536) - 32768, 39999), 0)"),
            {"type": "int16"},
        ),
    ),
)

OPERATORS = (REPLACE_INDEX_ARITHMETIC, PERTURB_INDEX_CONSTANT, NARROW_INDEX)

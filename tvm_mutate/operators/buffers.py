"""Memory & Initialisation: intermediate buffers that are too small, share memory or are never filled."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.ir import TensorLoad
from tvm.s_tir import SBlock

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import constant_like, literal, node_with, nothing, substituted

_ANYWHERE = ("", "global")


def with_allocation(block: Any, before: Any, after: Any) -> Any:
    """The block with another buffer in the place of one that it allocates."""
    allocated = [after if each.same_as(before) else each for each in block.alloc_buffers]
    return substituted(node_with(block, alloc_buffers=allocated), {before: after})


def buffer_like(buffer: Any, shape: Any = None, scope: str | None = None) -> Any:
    """A buffer of the same name and type, with another shape or scope."""
    kind = buffer.ty
    return tirx.decl_buffer(
        kind.shape if shape is None else shape,
        kind.dtype,
        buffer.name,
        scope=kind.storage_scope if scope is None else scope,
        layout=None if kind.layout is None else "default",
    )


def _shrink(block: Any, parameters: Parameters) -> Any | None:
    number = int(parameters["buffer"])
    large = [each for each in block.alloc_buffers if (literal(each.ty.shape[-1]) or 0) > 1]
    if not 0 <= number < len(large):
        return None
    *rows, last = large[number].ty.shape
    smaller = buffer_like(large[number], shape=[*rows, constant_like(last, int(literal(last) or 0) - 1)])
    return with_allocation(block, large[number], smaller)


def _alias(sequence: Any, _parameters: Parameters) -> Any | None:
    allocations = [each for each in sequence if isinstance(each, tirx.AllocBuffer)]
    for number, first in enumerate(allocations):
        for second in allocations[number + 1 :]:
            if _could_share(first.buffer, second.buffer):
                large, small = sorted((first, second), key=lambda each: -_elements(each.buffer))
                return _sharing(sequence, large, small)
    return None


def _sharing(sequence: Any, large: Any, small: Any) -> Any:
    """The statements with one of two allocations used for both."""
    left = [large, *(each for each in sequence if not each.same_as(large) and not each.same_as(small))]
    return substituted(tirx.SeqStmt(left), {small.buffer: large.buffer})


def _could_share(one: Any, other: Any) -> bool:
    same = one.ty.dtype == other.ty.dtype and one.ty.storage_scope == other.ty.storage_scope
    return same and one.ty.storage_scope in _ANYWHERE and _elements(one) > 0 and _elements(other) > 0


def _elements(buffer: Any) -> int:
    """How many elements a flat buffer has; 0 where that is unknown."""
    return int(literal(buffer.ty.shape[0]) or 0) if len(buffer.ty.shape) == 1 else 0


def _drop_copy(block: Any, _parameters: Parameters) -> Any | None:
    store = block.body
    copies = isinstance(store, tirx.BufferStore) and isinstance(store.value, TensorLoad) and block.init is None
    return node_with(block, body=nothing()) if copies else None


def _padded(buffers: str, first: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((8, 8), "float32")):
    {buffers}
    for i, j in T.grid(8, 8):
        with T.sblock("copy"):
            vi, vj = T.axis.remap("SS", [i, j])
            T.reads(A[vi, vj])
            T.writes(P[vi, vj])
            {first}
    for i, j in T.grid(8, 8):
        with T.sblock("double"):
            vi, vj = T.axis.remap("SS", [i, j])
            T.reads(P[vi, vj])
            T.writes(B[vi, vj])
            B[vi, vj] = P[vi, vj] * T.float32(2)
"""


def _flat(script: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
{script}
"""


_COPY = "P[vi, vj] = A[vi, vj]"

SHRINK_BUFFER = Operator(
    name="tir.shrink-buffer",
    fault="a buffer that is compacted to less than what is accessed, as by CompactBufferAllocation (memory problems, "
    "Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.MEMORY,
    description="allocates an intermediate buffer with one element less in its last dimension, so that its rows "
    "overlap and the last one ends outside it",
    rule=TirRule((SBlock,), _shrink),
    parameters=(Parameter("buffer", "which of the buffers that a block allocates, from 0", 0),),
    variants=({"buffer": 0}, {"buffer": 1}),
    examples=(
        Example(
            _padded('P = T.sblock_alloc_buffer((8, 8), "float32")', _COPY),
            _padded('P = T.sblock_alloc_buffer((8, 7), "float32")', _COPY),
        ),
        Example(
            _padded('Q = T.sblock_alloc_buffer((8,), "float32")\n    P = T.sblock_alloc_buffer((8, 8))', _COPY),
            _padded('Q = T.sblock_alloc_buffer((8,), "float32")\n    P = T.sblock_alloc_buffer((8, 7))', _COPY),
            {"buffer": 1},
        ),
    ),
    undefined_behaviour=True,
    by_default=False,
)

ALIAS_BUFFERS = Operator(
    name="tir.alias-buffers",
    fault="memory that is reused while it is still needed, as by StorageRewrite (memory problems, Shen et al. 2021)",
    slots=(Slot.LOWERED,),
    category=Category.MEMORY,
    description="gives two intermediate buffers of a kernel the same memory: the first two of one type in a scope",
    rule=TirRule((tirx.SeqStmt,), _alias),
    examples=(
        Example(
            _flat("""
    P = T.alloc_buffer((16,), "float32")
    Q = T.alloc_buffer((16,), "float32")
    for i in range(16):
        P[i] = A[i]
    for i in range(16):
        Q[i] = P[15 - i] * T.float32(2)
    for i in range(16):
        B[i] = P[i] + Q[i]
"""),
            _flat("""
    P = T.alloc_buffer((16,), "float32")
    for i in range(16):
        P[i] = A[i]
    for i in range(16):
        P[i] = P[15 - i] * T.float32(2)
    for i in range(16):
        B[i] = P[i] + P[i]
"""),
        ),
        Example(
            _flat("""
    for i in range(8):
        P = T.alloc_buffer((1,), "float32")
        Q = T.alloc_buffer((2,), "float32")
        P[0] = A[i]
        Q[1] = A[i + 8]
        B[i] = P[0] + Q[1]
"""),
            _flat("""
    for i in range(8):
        Q = T.alloc_buffer((2,), "float32")
        Q[0] = A[i]
        Q[1] = A[i + 8]
        B[i] = Q[0] + Q[1]
"""),
        ),
    ),
)

DROP_COPY = Operator(
    name="tir.drop-copy",
    fault="a stage that is taken to be inlined but is still read, as by a wrong compute_inline or cache_read "
    "(incorrect scheduling, Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.MEMORY,
    description="leaves out a block that only copies, so that what it fills is never written",
    rule=TirRule((SBlock,), _drop_copy),
    examples=(
        Example(
            _padded('P = T.sblock_alloc_buffer((8, 8), "float32")', _COPY),
            _padded('P = T.sblock_alloc_buffer((8, 8), "float32")', "T.evaluate(0)"),
        ),
        Example(
            """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((64,), "float32")):
    for i in range(64):
        with T.sblock("reshape"):
            vi = T.axis.spatial(64, i)
            T.reads(A[vi // 8, vi % 8])
            T.writes(B[vi])
            B[vi] = A[vi // 8, vi % 8]
""",
            """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((64,), "float32")):
    for i in range(64):
        with T.sblock("reshape"):
            vi = T.axis.spatial(64, i)
            T.reads(A[vi // 8, vi % 8])
            T.writes(B[vi])
            T.evaluate(0)
""",
        ),
    ),
    undefined_behaviour=True,
    by_default=False,
)

OPERATORS = (SHRINK_BUFFER, ALIAS_BUFFERS, DROP_COPY)

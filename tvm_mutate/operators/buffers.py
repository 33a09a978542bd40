"""Intermediate buffers that are too small, share memory or are never filled."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from tvm import tirx
from tvm.ir import TensorLoad
from tvm.s_tir import SBlock

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.tir_nodes import constant_like, literal, node_with, nothing, substituted

_MERGED = ("", "global", "shared", "shared.dyn")


def reallocated(block: Any, before: Any, shape: Any = None, scope: str | None = None) -> Any:
    """The block with one of its allocated buffers in another shape or scope."""
    kind = before.ty
    after = tirx.decl_buffer(
        shape or kind.shape,
        kind.dtype,
        before.name,
        scope=scope or kind.storage_scope,
        layout=None if kind.layout is None else "default",
    )
    allocated = [after if each.same_as(before) else each for each in block.alloc_buffers]
    return substituted(node_with(block, alloc_buffers=allocated), {before: after})


def _shrink(block: Any, parameters: Parameters) -> Any | None:
    number = int(parameters["buffer"])
    large = [each for each in block.alloc_buffers if (literal(each.ty.shape[-1]) or 0) > 1]
    if not 0 <= number < len(large):
        return None
    *rows, last = large[number].ty.shape
    return reallocated(block, large[number], shape=[*rows, constant_like(last, int(literal(last) or 0) - 1)])


def _alias(sequence: Any, _parameters: Parameters) -> Any | None:
    allocations = [each for each in sequence if isinstance(each, tirx.AllocBuffer)]
    for first, second in itertools.combinations(allocations, 2):
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
    return same and one.ty.storage_scope in _MERGED and _elements(one) > 0 and _elements(other) > 0


def _elements(buffer: Any) -> int:
    """The number of elements of a flat buffer; 0 if unknown."""
    return int(literal(buffer.ty.shape[0]) or 0) if len(buffer.ty.shape) == 1 else 0


def _drop_copy(block: Any, _parameters: Parameters) -> Any | None:
    store = block.body
    copies = isinstance(store, tirx.BufferStore) and isinstance(store.value, TensorLoad) and block.init is None
    return node_with(block, body=nothing()) if copies else None


_PADDED = """
    A: (8, 8), B: (8, 8)
    ...
    for i, j in T.grid(8, 8):
        with T.sblock("copy"):
            vi, vj = T.axis.remap("SS", [i, j])
            T.reads(A[vi, vj])
            T.writes(P[vi, vj])
            P[vi, vj] = A[vi, vj]
"""
_operator = partial(Operator, category=Category.MEMORY)

OPERATORS = (
    _operator(
        name="tir.shrink-buffer",
        fault="a buffer that is compacted to less than what is accessed, as by CompactBufferAllocation (memory "
        "problems, Shen et al. 2021)",
        slots=(Slot.KERNEL,),
        description="allocates an intermediate buffer with one element less in its last dimension: rows overlap, and "
        "the last row ends outside the buffer",
        rule=TirRule((SBlock,), _shrink),
        parameters=(Parameter("buffer", "which of the buffers that a block allocates, from 0", 0),),
        variants=({"buffer": 0}, {"buffer": 1}),
        examples=kernel_examples(
            """
            padded
            P = T.sblock_alloc_buffer((8, 8), "float32")
            P = T.sblock_alloc_buffer((8, 7), "float32")
            padded | buffer=1
            Q = T.sblock_alloc_buffer((8,), "float32"); P = T.sblock_alloc_buffer((8, 8), "float32")
            Q = T.sblock_alloc_buffer((8,), "float32"); P = T.sblock_alloc_buffer((8, 7), "float32")
            """,
            {"padded": _PADDED},
        ),
        undefined_behaviour=True,
        by_default=False,
    ),
    _operator(
        name="tir.alias-buffers",
        fault="memory that is reused while it is still needed, as by StorageRewrite (memory problems, Shen et al. "
        "2021) or in apache/tvm#16216",
        slots=(Slot.LOWERED,),
        description="gives two intermediate buffers of a kernel the same memory: the first two of one type in a scope",
        rule=TirRule((tirx.SeqStmt,), _alias),
        examples=kernel_examples("""
            function
            P = T.alloc_buffer((16,), "float32"); Q = T.alloc_buffer((16,), "float32"); \
            for i in range(16): P[i] = A[i]; \
            for i in range(16): Q[i] = P[15 - i] * T.float32(2); \
            for i in range(16): B[i] = P[i] + Q[i]
            P = T.alloc_buffer((16,), "float32"); \
            for i in range(16): P[i] = A[i]; \
            for i in range(16): P[i] = P[15 - i] * T.float32(2); \
            for i in range(16): B[i] = P[i] + P[i]
            map
            P = T.alloc_buffer((1,), "float32"); Q = T.alloc_buffer((2,), "float32"); \
            P[0] = A[i]; Q[1] = A[i]; B[i] = P[0] + Q[1]
            Q = T.alloc_buffer((2,), "float32"); Q[0] = A[i]; Q[1] = A[i]; B[i] = Q[0] + Q[1]
        """),
    ),
    _operator(
        name="tir.drop-copy",
        fault="a stage that is taken to be inlined but is still read, as by a wrong compute_inline or cache_read "
        "(incorrect scheduling, Shen et al. 2021)",
        slots=(Slot.KERNEL,),
        description="removes a block that only copies, so that its output is never written",
        rule=TirRule((SBlock,), _drop_copy),
        examples=kernel_examples("""
            square
            B[vi, vj] = A[vi, vj]
            T.evaluate(0)
            tiles
            B[vi] = A[vi]
            T.evaluate(0)
        """),
        undefined_behaviour=True,
        by_default=False,
    ),
)

"""Indices of buffers, rewritten so that they stay within them: what families of TIR operators share. No family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.ir import prim

from tvm_mutate.operators.tir_nodes import another_constant, constant_like, literal

# A set of exact types: TVM's own checks of instances take several times as long.
_ARITHMETIC = frozenset(
    {prim.Add, prim.Sub, prim.Mul, prim.Min, prim.Max, prim.FloorDiv, prim.FloorMod, prim.Div, prim.Mod}
)


def extent_of(access: Any, dimension: int) -> int | None:
    """The extent of the accessed buffer in a dimension; None if it is unknown or one, or the index is a vector."""
    indices, shape = access.indices, buffer_of(access).shape
    if not -len(indices) <= dimension < len(indices) == len(shape):
        return None
    extent = literal(shape[dimension])
    if extent is None or extent < 2 or indices[dimension].ty.dtype.lanes > 1:
        return None
    return int(extent)


def buffer_of(access: Any) -> Any:
    """The buffer that a load or store accesses."""
    return access.buffer if isinstance(access, tirx.BufferStore) else access.source


def with_index(access: Any, dimension: int, index: Any) -> Any:
    """The load or store with another index in one dimension."""
    indices = list(access.indices)
    indices[dimension] = index
    return with_indices(access, indices)


def with_indices(access: Any, indices: list[Any]) -> Any:
    """The load or store at other indices."""
    if isinstance(access, tirx.BufferStore):
        return tirx.BufferStore(access.buffer, access.value, indices)
    return tirx.BufferLoad(access.source, indices)


def moved_within(index: Any, by: int, extent: int) -> Any | None:
    """An index within the buffer moved by ``by``, but no further than the edge."""
    at = literal(index)
    if at is not None:
        return another_constant(index, min(max(int(at) + by, 0), extent - 1))
    if by < 0:
        return prim.Max(index - constant_like(index, -by), constant_like(index, 0))
    return prim.Min(index + constant_like(index, by), constant_like(index, extent - 1))


def held_within(index: Any, extent: int) -> Any:
    """Any index, held within a buffer of that extent."""
    return prim.Max(prim.Min(index, constant_like(index, extent - 1)), constant_like(index, 0))


def outermost_rewritten(index: Any, rewrite: Callable[[Any], Any | None]) -> Any | None:
    """The index with the outermost of its nodes rewritten that ``rewrite`` has a replacement for; None if none has."""
    replacement = rewrite(index)
    if replacement is not None or type(index) not in _ARITHMETIC:
        return replacement
    left = outermost_rewritten(index.a, rewrite)
    if left is not None:
        return type(index)(left, index.b)
    right = outermost_rewritten(index.b, rewrite)
    return None if right is None else type(index)(index.a, right)


def rewritten_within(access: Any, rewrite: Callable[[Any], Any | None]) -> Any | None:
    """The access with the first index in which ``rewrite`` finds arithmetic rewritten, and held within the buffer."""
    for dimension, index in enumerate(access.indices):
        if type(index) not in _ARITHMETIC:  # most are single variables
            continue
        extent = extent_of(access, dimension)
        if extent is not None:
            rewritten = outermost_rewritten(index, rewrite)
            if rewritten is not None:
                return with_index(access, dimension, held_within(rewritten, extent))
    return None

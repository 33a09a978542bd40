"""Brings the blocks of a kernel into the shape that tiling wants: copies gone, element-wise chains in one block."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tvm_ffi
from tvm import ir, s_tir, tirx
from tvm.ir import prim
from tvm.s_tir.stmt import SBlock

from tvm_mutate.kernels.fast_access import Block
from tvm_mutate.kernels.fast_tiles import LANES, vector_chain

# Widening a loop to whole vectors computes elements that are thrown away: not more than this share of it.
_MOST_WASTE = 0.34
_FEWEST_ROWS = 8


def without_unit_reductions(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """The function with `y + ry` as `y` where `ry` has extent 1: the indices of 1×1 convolutions become iterators."""
    units: list[Any] = []

    def note(block: Any) -> None:
        units.extend(each.var for each in block.iter_vars if each.iter_type == 2 and _is_one(each.dom.extent))

    def simplified(node: Any) -> Any:
        for unit, other in ((node.a, node.b), (node.b, node.a)):
            if any(unit.same_as(each) for each in units):
                return other
        return node

    tvm_ffi.structural_walk(function.body, [(SBlock, note)])
    return function.with_body(tvm_ffi.structural_map(function.body, [(prim.Add, simplified)])) if units else function


def blocks_of(schedule: s_tir.Schedule) -> list[Any]:
    """The blocks under the root block, in order."""
    return list(schedule.get_child_blocks(schedule.get_sblock("root")))


def name_of(schedule: s_tir.Schedule, block: Any) -> str:
    """The name of a block, which is unique among a schedule's blocks."""
    return str(schedule.get(block).name_hint)


def inline(schedule: s_tir.Schedule, contraction: bool) -> None:
    """Inlines element-wise blocks into what consumes them, so that each value is computed once and never stored.

    With ``contraction`` no product gets into one expression with a sum that it was not in before: the compiler would
    make one rounding of two.
    """
    outputs = {name_of(schedule, each) for each in schedule.get_output_blocks(schedule.get_sblock("root"))}
    for handle in blocks_of(schedule):
        block = Block(schedule.get(handle))
        consumers = [Block(schedule.get(each)) for each in schedule.get_consumers(handle)]
        if block.reduces() or block.name in outputs or not consumers:
            continue
        if all(_may_inline(block, each, contraction) for each in consumers) and (
            block.is_copy() or len(consumers) == 1
        ):
            schedule.compute_inline(handle)


def _may_inline(producer: Block, consumer: Block, contraction: bool) -> bool:
    if producer.is_copy():
        return True
    if consumer.reduces() or sum(each.source.same_as(producer.store.buffer) for each in consumer.loads) > 1:
        return False
    if math.prod(consumer.extents) > math.prod(producer.extents) and not consumer.conditions:
        return False
    return not (contraction and _contains(producer, (prim.Mul,)) and _contains(consumer, (prim.Add, prim.Sub)))


def widened(fresh: Callable[[], s_tir.Schedule]) -> s_tir.Schedule:
    """A schedule with pointwise convolutions over whole vectors: 14×14 pixels as 200, 7×7 as 56.

    The input is copied to rows with a tail of zeros, and the sums of the tail are not copied out; the sums of the
    pixels are what they were. ``fresh`` makes a schedule of the kernel: a refused step is not undone, but begun anew
    without it (a copy of a schedule shares statements with it that either may change in their place).
    """
    refused: set[str] = set()
    while True:
        schedule = fresh()
        failed = _widen(schedule, refused)
        if failed is None:
            return schedule
        refused.add(failed)


def _widen(schedule: s_tir.Schedule, refused: set[str]) -> str | None:
    """Widens all blocks that want it and were not refused; the name of the first that TVM refuses."""
    for name in [name_of(schedule, each) for each in blocks_of(schedule)]:
        handle = schedule.get_sblock(name)
        block = Block(schedule.get(handle))
        chain = vector_chain(block) if block.reduces() and name not in refused else ()
        if chain and _wants_widening(block, chain):
            try:
                _flatten_and_pad(schedule, handle, block, chain)
            except Exception:  # not a product of plain elements: TVM says so with what its C++ threw
                return name
    return None


def _wants_widening(block: Block, chain: tuple[int, ...]) -> bool:
    pixels = math.prod(block.extents[at] for at in chain)
    rows = math.prod(block.extents[at] for at in block.spatial() if at not in chain)
    indices = [index for each in block.loads for index in each.indices]
    if not all(isinstance(each, (ir.Var, tirx.IntImm)) for each in indices):
        return False
    return pixels % LANES != 0 and -pixels % LANES <= _MOST_WASTE * pixels and rows >= _FEWEST_ROWS


def _flatten_and_pad(schedule: s_tir.Schedule, handle: Any, block: Block, chain: tuple[int, ...]) -> None:
    if len(schedule.get_consumers(handle)) == 0:
        schedule.cache_write(handle, 0, "global")
    if len(chain) == 2:
        copies = [each for each in schedule.get_producers(handle) if _is_like(Block(schedule.get(each)), block, chain)]
        _flatten(schedule, handle, copies, block, chain)
    elif len(chain) > 2:
        raise ValueError("only planes are flattened")
    block = Block(schedule.get(handle))
    (last, *_) = reversed(vector_chain(block))
    schedule.pad_einsum(handle, [LANES if at == last else 1 for at in range(len(block.extents))])


def _is_like(producer: Block, block: Block, chain: tuple[int, ...]) -> bool:
    same = len(producer.extents) == chain[-1] + 1 and all(producer.extents[at] == block.extents[at] for at in chain)
    return producer.is_copy() and same


def _flatten(schedule: s_tir.Schedule, handle: Any, copies: list[Any], block: Block, chain: tuple[int, ...]) -> None:
    outer, inner = chain
    plane = _plane(block.extents, outer, inner, inner + 1)
    for each in [*copies, handle]:
        schedule.transform_layout(each, ("write", 0), plane)
    schedule.transform_block_layout(handle, _plane(block.extents, outer, inner, len(block.extents)))


def flatten_pixels(schedule: s_tir.Schedule, handle: Any, block: Block) -> None:
    """Makes one iterator of the last two of an element-wise block that follows flattened sums."""
    last = len(block.extents) - 1
    if vector_chain(block)[-2:] == (last - 1, last):
        schedule.transform_block_layout(handle, _plane(block.extents, last - 1, last, last + 1))


def _plane(extents: list[int], outer: int, inner: int, dimensions: int) -> tirx.IndexMap:
    """The map of positions that makes one of two neighbouring ones."""

    def flat(*positions: Any) -> list[Any]:
        return [*positions[:outer], positions[outer] * extents[inner] + positions[inner], *positions[inner + 1 :]]

    return tirx.IndexMap.from_func(flat, ndim=dimensions)


def _contains(block: Block, kinds: tuple[type, ...]) -> bool:
    found: list[Any] = []
    tvm_ffi.structural_walk(block.store.value, [(kinds, found.append)])
    # Arithmetic of indices is none of ours.
    return any(str(each.ty).startswith(("float", "bfloat")) for each in found)


def _is_one(extent: Any) -> bool:
    return isinstance(extent, tirx.IntImm) and int(extent) == 1

"""Tiles, unrolls and vectorises the loops of blocks; reductions stay whole and in their order."""

from __future__ import annotations

import math
from typing import Any

from tvm import s_tir, tirx

from tvm_mutate.kernels.fast_access import Block
from tvm_mutate.kernels.fast_rewrite import flatten_pixels, name_of
from tvm_mutate.kernels.fast_tiles import Tile, divisors, reduction_tile, vector_chain

# What one pass over the channels reads should stay in the second-level cache.
_CHUNK_BYTES = 256 * 1024
_ELEMENT_BYTES = 4
_WIDTHS = (32, 16, 8)
_FEWEST_LANES = 4


def schedule_reduction(schedule: s_tir.Schedule, handle: Any) -> set[str]:
    """Tiles a reduction, with its padding and what follows it element by element; the names of the blocks dealt with.

    Each sum goes through the same additions in the same order: only the loops around the reduction are split and
    reordered, so that some sums run side by side.
    """
    block = Block(schedule.get(handle))
    loops = _own_loops(schedule, handle, block)
    tile = reduction_tile(block)
    if tile is None:
        return {block.name, *_around(schedule, handle, block, _channel(block, loops, set()), None)}
    home, first_reduction = _tile_loops(schedule, block, tile, loops)
    done = _around(schedule, handle, block, _channel(block, loops, {*tile.chain, tile.rows}), home)
    start = schedule.decompose_reduction(handle, first_reduction)
    return {block.name, name_of(schedule, start), *done}


def schedule_elementwise(schedule: s_tir.Schedule, handle: Any) -> bool:
    """Vectorises an element-wise block; whether there was something to vectorise."""
    block = Block(schedule.get(handle))
    chain = () if block.reduces() else vector_chain(block)
    if not chain:
        return False
    loops = _own_loops(schedule, handle, block)
    return _vectorise(schedule, _fused(schedule, loops[chain[0] :]))


def _own_loops(schedule: s_tir.Schedule, handle: Any, block: Block) -> list[Any]:
    """The loops of a block that nothing has been done to: one for each iterator, in order."""
    loops = list(schedule.get_loops(handle))
    if [int(schedule.get(each).extent) for each in loops] != block.extents:
        raise ValueError(f"the loops of block {block.name} are not its iterators")
    return loops


def _channel(block: Block, loops: list[Any], taken: set[int | None]) -> Any | None:
    """The loop over the channels, where each of them reads its own plane; None otherwise."""
    spatial = block.spatial()
    if len(spatial) < 2 or spatial[0] in taken:
        return None
    return loops[spatial[0]] if all(block.stride(each, spatial[0]) for each in block.reads()) else None


def _tile_loops(schedule: s_tir.Schedule, block: Block, tile: Tile, loops: list[Any]) -> tuple[Any | None, Any]:
    """Puts the tile innermost; the loop around all that is computed of one tile of rows, and the first reduction.

    Order: chunks of the chain, other iterators, tiles of rows, vectors of the chunk, reductions, rows, lanes.
    """
    reductions = [loops[at] for at in range(len(loops)) if block.is_reduction[at]]
    taken = {*tile.chain, tile.rows}
    outer = [loops[at] for at in range(len(loops)) if not block.is_reduction[at] and at not in taken]
    inner: list[Any] = []
    vectors: list[Any] = []
    if tile.rows is not None:
        row_tiles, rows = schedule.split(loops[tile.rows], [None, tile.size])
        outer, inner = [*outer, row_tiles], [rows]
        schedule.unroll(rows)
    lanes = None
    if tile.chain:
        first, *rest = [loops[at] for at in tile.chain]
        chunk = _chunk(block, tile)
        if chunk < block.extents[tile.chain[0]]:
            chunks, first = schedule.split(first, [None, chunk])
            outer = [chunks, *outer]
        vector, lanes = schedule.split(_fused(schedule, [first, *rest]), [None, tile.lanes])
        vectors, inner = [vector], [*inner, lanes]
    schedule.reorder(*outer, *vectors, *reductions, *inner)
    if lanes is not None:
        schedule.vectorize(lanes)
    return (outer[-1] if outer else None), reductions[0]


def _chunk(block: Block, tile: Tile) -> int:
    """How much of the outermost iterator of the chain is taken at a time, so that what is read stays in the cache.

    Chunks are whole vectors, and whole rows of the inner iterators: what follows then knows them as a region.
    """
    extent = block.extents[tile.chain[0]]
    if len(tile.chain) == 1:
        return extent
    inner = math.prod(block.extents[at] for at in tile.chain[1:])
    walked = [each for each in block.reads() if block.stride(each, tile.chain[-1])]
    read = sum(_ELEMENT_BYTES * math.prod(int(size) for size in each.buffer.shape) for each in walked)
    chunks = [each for each in divisors(extent, extent) if each * inner % tile.lanes == 0]
    return max((each for each in chunks if read * each <= _CHUNK_BYTES * extent), default=min(chunks))


def _around(schedule: s_tir.Schedule, handle: Any, block: Block, channel: Any | None, home: Any | None) -> set[str]:
    """Brings what follows a reduction, and the padding before it, into its loops where nothing is computed twice.

    ``channel`` is the loop in which every step reads a plane of its own, ``home`` the loop over tiles of rows.
    """
    done: set[str] = set()
    near = channel or home
    consumers = schedule.get_consumers(handle)
    if near is not None and len(consumers) == 1:
        done |= _follow(schedule, consumers[0], block, near)
    for producer in schedule.get_producers(handle):
        padding = Block(schedule.get(producer))
        if padding.conditions and not padding.reduces():
            if channel is not None and len(schedule.get_consumers(producer)) == 1:
                schedule.compute_at(producer, channel)
            done |= _decompose_padding(schedule, producer)
    return done


def _follow(schedule: s_tir.Schedule, consumer: Any, block: Block, near: Any) -> set[str]:
    """Computes an element-wise consumer in the loop ``near``, while the sums that it takes are in the cache.

    Only one that loads the sums at its own iterators: given a consumer at `y * 14 + x` of 200 sums, TVM 0.27 computes
    the first 4 of each 14, without a word.
    """
    following = Block(schedule.get(consumer))
    if following.reduces():
        return set()
    if not following.reads_in_place(block.store.buffer):
        flatten_pixels(schedule, consumer, following)
        following = Block(schedule.get(consumer))
        if not following.reads_in_place(block.store.buffer):
            return set()
    schedule.reverse_compute_at(consumer, near)
    inner = _chained(schedule, following, _loops_of_its_own(schedule, consumer))
    if inner:
        _vectorise(schedule, _fused(schedule, inner))
    return {following.name}


def _chained(schedule: s_tir.Schedule, block: Block, loops: list[Any]) -> list[Any]:
    """Those of the innermost loops that can be one: whole iterators of the block's chain, and a part of the next."""
    chained: list[Any] = []
    for at, loop in zip(reversed(vector_chain(block)), reversed(loops), strict=False):
        chained.insert(0, loop)
        if int(schedule.get(loop).extent) != block.extents[at]:
            break
    return chained


def _loops_of_its_own(schedule: s_tir.Schedule, handle: Any) -> list[Any]:
    """The innermost loops around a block that have nothing else in them."""
    own: list[Any] = []
    for loop in reversed(schedule.get_loops(handle)):
        own.insert(0, loop)
        parent = schedule.get_sref(loop).parent
        if parent is None or not isinstance(parent.stmt, tirx.For):
            break
        if not parent.stmt.body.same_as(schedule.get(loop)):
            break
    return own


def _decompose_padding(schedule: s_tir.Schedule, padding: Any) -> set[str]:
    """Padding as two loops without conditions: fill all of it, then copy what is inside."""
    name = name_of(schedule, padding)
    own = _loops_of_its_own(schedule, padding)
    if not schedule.can_decompose_padding(padding, own[0]):
        return set()
    fill = schedule.decompose_padding(padding, own[0])
    _vectorise(schedule, _fused(schedule, _loops_of_its_own(schedule, fill)))
    _vectorise(schedule, schedule.get_loops(padding)[-1])
    return {name, name_of(schedule, fill)}


def _fused(schedule: s_tir.Schedule, loops: list[Any]) -> Any:
    return schedule.fuse(*loops) if len(loops) > 1 else loops[0]


def _vectorise(schedule: s_tir.Schedule, loop: Any) -> bool:
    extent = int(schedule.get(loop).extent)
    lanes = next((each for each in _WIDTHS if extent % each == 0), max(divisors(extent, _WIDTHS[0])))
    if lanes < _FEWEST_LANES:
        return False
    if lanes < extent:
        _, loop = schedule.split(loop, [None, lanes])
    schedule.vectorize(loop)
    return True

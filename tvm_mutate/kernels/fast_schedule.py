"""Better schedules of kernels with the same bits, for the unmutated kernels that run after an infected kernel.

Copies and element-wise chains are inlined first; then loops are tiled, unrolled and vectorised. Reductions keep their
order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tvm_ffi
from tvm import ir, s_tir, tirx
from tvm.ir import prim
from tvm.s_tir.stmt import SBlock

from tvm_mutate.kernels.fast_blocks import LANES, Block, Tile, divisors, reduction_tile, vector_chain

_SYMBOL = "global_symbol"
# Widening a loop to whole vectors computes unused elements: at most this share of the loop.
_MOST_WASTE = 0.34
_FEWEST_ROWS = 8
# The loads of one pass over the channels should stay in the second-level cache.
_CHUNK_BYTES = 256 * 1024
_ELEMENT_BYTES = 4
_WIDTHS = (32, 16, 8)
_FEWEST_LANES = 4


def fast_schedule(function: tirx.PrimFunc, *, contraction: bool = False) -> tirx.PrimFunc | None:
    """The kernel with a better schedule and the same floating-point operations in the same order, or None.

    ``function`` is an unscheduled kernel of the slot ``kernel`` for a CPU target. ``contraction`` says whether the
    device fuses multiply and add (``contracts``): the number of roundings must not change. None if no better schedule
    is known or TVM refuses a step; never raises. Check the result with ``agrees``.
    """
    try:
        return _scheduled(function, contraction)
    except Exception:  # TVM raises many kinds of errors; the plain kernel still works
        return None


def _scheduled(function: tirx.PrimFunc, contraction: bool) -> tirx.PrimFunc | None:
    schedule = _widened(lambda: _fresh(function))
    _inline(schedule, contraction)
    done: set[str] = set()
    for name in [_name_of(schedule, each) for each in _blocks_of(schedule)]:
        if Block(schedule.get(schedule.get_sblock(name))).reduces():
            done |= _schedule_reduction(schedule, schedule.get_sblock(name))
    better = bool(done)
    for handle in _blocks_of(schedule):
        if _name_of(schedule, handle) not in done:
            better |= _schedule_elementwise(schedule, handle)
    return _named_as(function, schedule.mod["main"]) if better else None


def _fresh(function: tirx.PrimFunc) -> s_tir.Schedule:
    """A schedule of a copy: schedules of TVM 0.27 change the given function in place."""
    copy = s_tir.renew_defs(_without_unit_reductions(function))
    return s_tir.Schedule(copy.with_attr(_SYMBOL, "main"))


def _named_as(function: tirx.PrimFunc, scheduled: tirx.PrimFunc) -> tirx.PrimFunc:
    symbol = function.attrs.get(_SYMBOL) if function.attrs else None
    return scheduled.with_attr(_SYMBOL, symbol) if symbol else scheduled.without_attr(_SYMBOL)


def _without_unit_reductions(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """The function with `y` for `y + ry` if `ry` has extent 1: indices of 1×1 convolutions become iterators."""
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


def _blocks_of(schedule: s_tir.Schedule) -> list[Any]:
    """The blocks under the root block, in order."""
    return list(schedule.get_child_blocks(schedule.get_sblock("root")))


def _name_of(schedule: s_tir.Schedule, block: Any) -> str:
    """The name of a block, which is unique in a schedule."""
    return str(schedule.get(block).name_hint)


def _inline(schedule: s_tir.Schedule, contraction: bool) -> None:
    """Inlines element-wise blocks into their consumers, so that each value is computed once and never stored.

    With ``contraction`` no product joins an expression with a sum: the compiler would round once instead of twice.
    """
    outputs = {_name_of(schedule, each) for each in schedule.get_output_blocks(schedule.get_sblock("root"))}
    for handle in _blocks_of(schedule):
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


def _widened(fresh: Callable[[], s_tir.Schedule]) -> s_tir.Schedule:
    """A schedule with pointwise convolutions over whole vectors: 14×14 pixels as 200, 7×7 as 56.

    The input is copied to rows with a tail of zeros, and the sums of the tail are dropped; the sums of the pixels do
    not change. ``fresh`` makes a schedule of the kernel. After a refused step the schedule starts again without that
    step, because copies of a schedule share statements that both may change in place.
    """
    refused: set[str] = set()
    while True:
        schedule = fresh()
        failed = _widen(schedule, refused)
        if failed is None:
            return schedule
        refused.add(failed)


def _widen(schedule: s_tir.Schedule, refused: set[str]) -> str | None:
    """Widens all suitable blocks that TVM did not refuse before; gives the name of the first that TVM refuses."""
    for name in [_name_of(schedule, each) for each in _blocks_of(schedule)]:
        handle = schedule.get_sblock(name)
        block = Block(schedule.get(handle))
        chain = vector_chain(block) if block.reduces() and name not in refused else ()
        if chain and _wants_widening(block, chain):
            try:
                _flatten_and_pad(schedule, handle, block, chain)
            except Exception:  # TVM refuses blocks that are no product of plain elements
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


def _flatten_pixels(schedule: s_tir.Schedule, handle: Any, block: Block) -> None:
    """Fuses the last two iterators of an element-wise block that follows flattened sums."""
    last = len(block.extents) - 1
    if vector_chain(block)[-2:] == (last - 1, last):
        schedule.transform_block_layout(handle, _plane(block.extents, last - 1, last, last + 1))


def _plane(extents: list[int], outer: int, inner: int, dimensions: int) -> tirx.IndexMap:
    """The index map that fuses two neighbouring positions."""

    def flat(*positions: Any) -> list[Any]:
        return [*positions[:outer], positions[outer] * extents[inner] + positions[inner], *positions[inner + 1 :]]

    return tirx.IndexMap.from_func(flat, ndim=dimensions)


def _contains(block: Block, kinds: tuple[type, ...]) -> bool:
    found: list[Any] = []
    tvm_ffi.structural_walk(block.store.value, [(kinds, found.append)])
    # Index arithmetic does not count.
    return any(str(each.ty).startswith(("float", "bfloat")) for each in found)


def _is_one(extent: Any) -> bool:
    return isinstance(extent, tirx.IntImm) and int(extent) == 1


def _schedule_reduction(schedule: s_tir.Schedule, handle: Any) -> set[str]:
    """Tiles a reduction with its padding and its element-wise consumer; gives the names of the scheduled blocks.

    Each sum has the same additions in the same order: only the loops around the reduction are split and reordered, so
    that several sums run in parallel.
    """
    block = Block(schedule.get(handle))
    loops = _own_loops(schedule, handle, block)
    tile = reduction_tile(block)
    if tile is None:
        return {block.name, *_around(schedule, handle, block, _channel(block, loops, set()), None)}
    home, first_reduction = _tile_loops(schedule, block, tile, loops)
    done = _around(schedule, handle, block, _channel(block, loops, {*tile.chain, tile.rows}), home)
    start = schedule.decompose_reduction(handle, first_reduction)
    return {block.name, _name_of(schedule, start), *done}


def _schedule_elementwise(schedule: s_tir.Schedule, handle: Any) -> bool:
    """Vectorises an element-wise block; False if that is impossible."""
    block = Block(schedule.get(handle))
    chain = () if block.reduces() else vector_chain(block)
    if not chain:
        return False
    loops = _own_loops(schedule, handle, block)
    return _vectorise(schedule, _fused(schedule, loops[chain[0] :]))


def _own_loops(schedule: s_tir.Schedule, handle: Any, block: Block) -> list[Any]:
    """The loops of an unscheduled block: one for each iterator, in order."""
    loops = list(schedule.get_loops(handle))
    if [int(schedule.get(each).extent) for each in loops] != block.extents:
        raise ValueError(f"the loops of block {block.name} are not its iterators")
    return loops


def _channel(block: Block, loops: list[Any], taken: set[int | None]) -> Any | None:
    """The loop over channels if each channel reads its own plane, else None."""
    spatial = block.spatial()
    if len(spatial) < 2 or spatial[0] in taken:
        return None
    return loops[spatial[0]] if all(block.stride(each, spatial[0]) for each in block.reads()) else None


def _tile_loops(schedule: s_tir.Schedule, block: Block, tile: Tile, loops: list[Any]) -> tuple[Any | None, Any]:
    """Makes the tile innermost; gives the loop over tiles of rows (None without one) and the first reduction loop.

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
    """The chunk size of the outermost iterator of the chain whose loads fit into the cache.

    Chunks are whole vectors and whole rows of the inner iterators, so that consumers see them as a region.
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
    """Moves the consumer and the padding of a reduction into its loops if no value is computed twice.

    ``channel`` is the loop in which every step reads its own plane, ``home`` the loop over tiles of rows.
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
    """Computes an element-wise consumer in the loop ``near``, while the sums are in the cache.

    The consumer must load the sums at its own iterators: for a consumer at `y * 14 + x` of 200 sums, TVM 0.27 silently
    computes only the first 4 of each 14.
    """
    following = Block(schedule.get(consumer))
    if following.reduces():
        return set()
    if not following.reads_in_place(block.store.buffer):
        _flatten_pixels(schedule, consumer, following)
        following = Block(schedule.get(consumer))
        if not following.reads_in_place(block.store.buffer):
            return set()
    schedule.reverse_compute_at(consumer, near)
    inner = _chained(schedule, following, _loops_of_its_own(schedule, consumer))
    if inner:
        _vectorise(schedule, _fused(schedule, inner))
    return {following.name}


def _chained(schedule: s_tir.Schedule, block: Block, loops: list[Any]) -> list[Any]:
    """The innermost loops that can be fused: whole iterators of the block's chain, and a part of the next."""
    chained: list[Any] = []
    for at, loop in zip(reversed(vector_chain(block)), reversed(loops), strict=False):
        chained.insert(0, loop)
        if int(schedule.get(loop).extent) != block.extents[at]:
            break
    return chained


def _loops_of_its_own(schedule: s_tir.Schedule, handle: Any) -> list[Any]:
    """The innermost loops that contain only the block."""
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
    """Splits padding into two loops without conditions: fill the whole buffer, then copy the inside."""
    name = _name_of(schedule, padding)
    own = _loops_of_its_own(schedule, padding)
    if not schedule.can_decompose_padding(padding, own[0]):
        return set()
    fill = schedule.decompose_padding(padding, own[0])
    _vectorise(schedule, _fused(schedule, _loops_of_its_own(schedule, fill)))
    _vectorise(schedule, schedule.get_loops(padding)[-1])
    return {name, _name_of(schedule, fill)}


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

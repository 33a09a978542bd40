"""Chooses the register tile of a block: which iterators become lanes of a vector, and which rows are unrolled."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tvm_mutate.kernels.fast_access import Block

# Of float32 in a 256-bit vector. Processors split 512-bit arithmetic or clock down, and AVX-512 without FMA is not to
# be had from LLVM.
LANES = 8
# Of the 16 vector registers: the rest is for what is loaded.
_REGISTERS = 12
# LLVM keeps sums of 14 or 28 lanes in registers only where they are few.
_ODD_REGISTERS = 4
_MOST_LANES = 64
_MOST_ROWS = 8
# A sum can be added to again after about three cycles, in each of which two additions start.
_SUMS_IN_FLIGHT = 6


@dataclass(frozen=True)
class Tile:
    """The tile of a reduction: ``lanes`` of the fused iterators ``chain`` times ``size`` of the iterator ``rows``.

    ``rows`` is None where no other iterator is worth unrolling; ``lanes`` is 1 where memory is not walked in order.
    """

    chain: tuple[int, ...]
    lanes: int
    rows: int | None
    size: int


def vector_chain(block: Block) -> tuple[int, ...]:
    """The positions of the innermost iterators that one vectorised loop can take the place of; empty if none can."""
    spatial = block.spatial()
    if not spatial or block.steers(spatial[-1]) or block.stride(block.accesses[0], spatial[-1]) != 1:
        return ()
    if any(block.stride(each, spatial[-1]) is None for each in block.accesses):
        return ()
    chain = [spatial[-1]]
    for outer in reversed(spatial[:-1]):
        if not block.is_one_loop(outer, chain[0]):
            break
        chain.insert(0, outer)
    return tuple(chain)


def divisors(number: int, most: int) -> list[int]:
    """The divisors of a number up to a limit, ascending."""
    return [each for each in range(1, min(number, most) + 1) if number % each == 0]


def reduction_tile(block: Block) -> Tile | None:
    """The tile for a reduction block whose cost a multiply and add is the least; None where a tile gains nothing."""
    chain = vector_chain(block)
    stride = _strided(block, chain[-1]) if chain else 0
    if not chain or stride > 2:
        return _unrolled_tile(block)
    extent = math.prod(block.extents[at] for at in chain)
    others = [at for at in block.spatial() if at not in chain]
    if stride == 2 and not any(_shares_vector(block, chain[-1], at) for at in others):
        return None
    candidates = [
        Tile(chain, lanes, rows, size)
        for lanes in divisors(extent, _MOST_LANES)
        for rows in [*(at for at in others if _shares(block, at)), None]
        for size in (divisors(block.extents[rows], _MOST_ROWS) if rows is not None else [1])
    ]
    return min(candidates, key=lambda tile: (_cost(block, tile), tile.lanes * tile.size))


def _unrolled_tile(block: Block) -> Tile | None:
    """Several sums side by side hide the latency of an addition even where they cannot share a vector."""
    sizes = [(max(divisors(block.extents[at], _MOST_ROWS)), at) for at in block.spatial()]
    size, rows = max(sizes, default=(1, None))
    return Tile((), 1, rows, size) if size > 1 else None


def _strided(block: Block, at: int) -> int:
    return max(abs(block.stride(each, at) or 0) for each in block.reads())


def _shares(block: Block, rows: int) -> bool:
    """Whether neighbouring rows load something together: weights in the rows of an image, the image in channels."""
    sizes = divisors(block.extents[rows], _MOST_ROWS)[1:]
    return any(block.is_shared(each, rows, size) for each in block.reads() for size in sizes)


def _shares_vector(block: Block, lane: int, rows: int) -> bool:
    """Whether a vector that was gathered with effort serves several rows."""
    return any(block.stride(each, lane) and block.stride(each, rows) == 0 for each in block.reads())


def _cost(block: Block, tile: Tile) -> float:
    """Cycles for one element and step of the reduction, roughly: arithmetic, loads, and waiting for sums."""
    vectors = -(-tile.lanes // LANES)
    sums = vectors * tile.size
    registers = _ODD_REGISTERS if vectors > 1 and tile.lanes & (tile.lanes - 1) else _REGISTERS
    loads = 0.0
    for each in block.reads():
        stride = block.stride(each, tile.chain[-1])
        shared = tile.rows is None or block.is_shared(each, tile.rows, tile.size)
        pieces = 1.0 if stride == 0 else _pieces(tile.lanes) if stride == 1 else 1.5 * tile.lanes
        loads += pieces * (1 if shared else tile.size)
    arithmetic = sums * max(1.0, _SUMS_IN_FLIGHT / sums)
    spills = 4.0 * max(0, sums - registers)
    return (arithmetic + 0.5 * loads + spills) / (tile.lanes * tile.size)


def _pieces(lanes: int) -> float:
    """The loads for so many lanes: what is left over after whole vectors comes in pieces that must be joined."""
    return lanes // LANES + 2 * (lanes % LANES).bit_count()

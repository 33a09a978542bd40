"""Blocks of a structured PrimFunc: how they access memory, and which register tile suits a block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import ir, tirx
from tvm.sym import Analyzer

_IF_THEN_ELSE = "prim.if_then_else"
# Lanes of float32 in a 256-bit vector. Many processors are slower with 512 bits, and LLVM has no AVX-512 without FMA.
LANES = 8
# Vector registers for sums: the rest of the 16 is for loaded values.
_REGISTERS = 12
# LLVM keeps sums of 14 or 28 lanes in registers only if they are few.
_ODD_REGISTERS = 4
_MOST_LANES = 64
_MOST_ROWS = 8
# An addition takes about three cycles, and two additions start in each cycle.
_SUMS_IN_FLIGHT = 6


@dataclass(frozen=True, eq=False)
class Access:
    """One load or store of a block; ``offset`` is the row-major position of the element in its buffer."""

    buffer: Any
    offset: Any
    is_store: bool


class Block:
    """A block that stores one element: its iterators, extents, accesses, and the conditions of its if_then_else.

    Raises ValueError for several stores, dynamic shapes, and iterators that do not start at 0.
    """

    def __init__(self, block: Any) -> None:
        if not isinstance(block.body, tirx.BufferStore):
            raise ValueError(f"block {block.name_hint} is not a single store")
        self.name = str(block.name_hint)
        self.store = block.body
        self.variables = [each.var for each in block.iter_vars]
        self.extents = [_extent(each) for each in block.iter_vars]
        self.is_reduction = [each.iter_type == tirx.IterVar.CommReduce for each in block.iter_vars]
        self.loads, self.conditions = _loads_and_conditions(block.body.value)
        self.accesses = [
            Access(block.body.buffer, _offset(block.body.buffer, block.body.indices), True),
            *(Access(each.source, _offset(each.source, each.indices), False) for each in self.loads),
        ]
        self._strides: dict[tuple[Access, int], int | None] = {}
        self._shared: dict[tuple[Access, int, int], bool] = {}

    def spatial(self) -> list[int]:
        """The positions of the spatial iterators with an extent above 1."""
        return [at for at, extent in enumerate(self.extents) if extent > 1 and not self.is_reduction[at]]

    def is_copy(self) -> bool:
        """Whether the block only copies elements, without a condition."""
        return isinstance(self.store.value, ir.TensorLoad)

    def reduces(self) -> bool:
        """Whether the block has a reduction iterator."""
        return any(self.is_reduction)

    def reads(self) -> list[Access]:
        """The loads of the block, without the loads of the buffer that it stores to."""
        return [each for each in self.accesses if not each.is_store and not each.buffer.same_as(self.store.buffer)]

    def reads_in_place(self, buffer: Any) -> bool:
        """Whether every load of the buffer is indexed by all iterators of the block, in order."""
        loads = [each.indices for each in self.loads if each.source.same_as(buffer)]
        return all(
            len(indices) == len(self.variables)
            and all(
                index.same_as(variable) or extent == 1
                for index, variable, extent in zip(indices, self.variables, self.extents, strict=True)
            )
            for indices in loads
        )

    def stride(self, access: Access, at: int) -> int | None:
        """The distance in elements between accesses of successive steps of an iterator; None if it varies."""
        key = (access, at)
        if key not in self._strides:
            self._strides[key] = self._step(access.offset, self.variables[at], self.extents[at])
        return self._strides[key]

    def is_one_loop(self, outer: int, inner: int) -> bool:
        """Whether two iterators access every buffer like a single fused iterator."""
        strides = [(self.stride(each, outer), self.stride(each, inner)) for each in self.accesses]
        return all(
            far is not None and near is not None and far == near * self.extents[inner] for far, near in strides
        ) and not self.steers(outer)

    def steers(self, at: int) -> bool:
        """Whether a condition of the block depends on the iterator, which therefore cannot be vectorised."""
        return any(_uses(condition, self.variables[at]) for condition in self.conditions)

    def is_shared(self, access: Access, at: int, size: int) -> bool:
        """Whether the access is the same for all steps of the iterator in an aligned tile of that size."""
        key = (access, at, size)
        if key not in self._shared:
            self._shared[key] = self.stride(access, at) == 0 or self._is_still(access.offset, at, size)
        return self._shared[key]

    def _is_still(self, offset: Any, at: int, size: int) -> bool:
        tile, lane = tirx.Var("tile", "int64"), tirx.Var("lane", "int64")
        first = _substitute(offset, self.variables[at], tile * _int64(size))
        later = _substitute(offset, self.variables[at], tile * _int64(size) + lane)
        return _constant(later - first, self._ranges({tile: self.extents[at] // size, lane: size})) == 0

    def _step(self, offset: Any, variable: Any, extent: int) -> int | None:
        if extent == 1:
            return 0
        later = _substitute(offset, variable, variable + _int64(1))
        return _constant(later - offset, self._ranges({variable: extent - 1}))

    def _ranges(self, changed: dict[Any, int]) -> dict[Any, int]:
        return {**dict(zip(self.variables, self.extents, strict=True)), **changed}


def _extent(iterator: Any) -> int:
    domain = iterator.dom
    if not isinstance(domain.extent, tirx.IntImm) or not isinstance(domain.min, tirx.IntImm) or int(domain.min) != 0:
        raise ValueError(f"iterator {iterator.var} has no constant domain")
    return int(domain.extent)


def _offset(buffer: Any, indices: Sequence[Any]) -> Any:
    offset: Any = _int64(0)
    for index, size in zip(indices, buffer.shape, strict=True):
        if not isinstance(size, tirx.IntImm):
            raise ValueError(f"buffer {buffer.name} has a dynamic shape")
        offset = offset * _int64(int(size)) + index
    return offset


def _loads_and_conditions(value: Any) -> tuple[list[Any], list[Any]]:
    loads: list[Any] = []
    conditions: list[Any] = []

    def note(call: Any) -> None:
        if isinstance(call.op, ir.Op) and call.op.name == _IF_THEN_ELSE:
            conditions.append(call.args[0])

    tvm_ffi.structural_walk(value, [(ir.TensorLoad, loads.append), (ir.Call, note)])
    return loads, conditions


def _uses(expression: Any, variable: Any) -> bool:
    found: list[bool] = []
    tvm_ffi.structural_walk(expression, [(ir.Var, lambda each: found.append(each.same_as(variable)))])
    return any(found)


def _substitute(expression: Any, variable: Any, value: Any) -> Any:
    return tvm_ffi.structural_map(expression, [(ir.Var, lambda each: value if each.same_as(variable) else each)])


def _constant(expression: Any, ranges: dict[Any, int]) -> int | None:
    analyzer = Analyzer()
    for variable, extent in ranges.items():
        analyzer.bind(variable, tvm.ir.Range(_int64(0), _int64(extent)))
    simplified = analyzer.simplify(expression)
    return int(simplified) if isinstance(simplified, tirx.IntImm) else None


def _int64(value: int) -> Any:
    return tirx.IntImm("int64", value)


@dataclass(frozen=True)
class Tile:
    """The tile of a reduction: ``lanes`` of the fused iterators ``chain`` times ``size`` of the iterator ``rows``.

    ``rows`` is None if unrolling another iterator does not pay; ``lanes`` is 1 if accesses are not contiguous.
    """

    chain: tuple[int, ...]
    lanes: int
    rows: int | None
    size: int


def vector_chain(block: Block) -> tuple[int, ...]:
    """The positions of the innermost iterators that can be fused into one vectorised loop; empty if none can."""
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
    """The tile of a reduction block with the lowest cost of a multiply-add; None if no tile pays."""
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
    """A tile without vectors: several sums in parallel hide the latency of an addition."""
    sizes = [(max(divisors(block.extents[at], _MOST_ROWS)), at) for at in block.spatial()]
    size, rows = max(sizes, default=(1, None))
    return Tile((), 1, rows, size) if size > 1 else None


def _strided(block: Block, at: int) -> int:
    return max(abs(block.stride(each, at) or 0) for each in block.reads())


def _shares(block: Block, rows: int) -> bool:
    """Whether neighbouring rows share a load, as rows of an image share weights, and channels share the image."""
    sizes = divisors(block.extents[rows], _MOST_ROWS)[1:]
    return any(block.is_shared(each, rows, size) for each in block.reads() for size in sizes)


def _shares_vector(block: Block, lane: int, rows: int) -> bool:
    """Whether several rows share a gathered vector."""
    return any(block.stride(each, lane) and block.stride(each, rows) == 0 for each in block.reads())


def _cost(block: Block, tile: Tile) -> float:
    """Rough cycles for one element and step of the reduction: arithmetic, loads, and waiting for sums."""
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
    """The number of loads for these lanes; the rest after whole vectors is loaded in pieces and joined."""
    return lanes // LANES + 2 * (lanes % LANES).bit_count()

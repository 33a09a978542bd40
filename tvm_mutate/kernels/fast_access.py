"""How the blocks of a structured PrimFunc walk through memory: strides, what can be one loop, what a tile shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tvm
import tvm_ffi
from tvm import ir, tirx
from tvm.sym import Analyzer

_IF_THEN_ELSE = "prim.if_then_else"


@dataclass(frozen=True, eq=False)
class Access:
    """One load or store of a block: the offset of the element in its buffer, row-major, as an expression."""

    buffer: Any
    offset: Any
    is_store: bool


class Block:
    """A schedulable block that stores one element: its iterators with their extents, and its accesses.

    ``conditions`` are those of its if_then_else: padding, concatenation.

    Raises ValueError for anything else: several stores, dynamic shapes, iterators that do not start at 0.
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
        """The positions of the iterators that are no reductions, without those of extent 1."""
        return [at for at, extent in enumerate(self.extents) if extent > 1 and not self.is_reduction[at]]

    def is_copy(self) -> bool:
        """Whether the block stores what it loads, unconditionally: it can be read past."""
        return isinstance(self.store.value, ir.TensorLoad)

    def reduces(self) -> bool:
        """Whether the block sums up, or takes a maximum, over some of its iterators."""
        return any(self.is_reduction)

    def reads(self) -> list[Access]:
        """The loads of the block, without the reduction's loads of what it is about to store."""
        return [each for each in self.accesses if not each.is_store and not each.buffer.same_as(self.store.buffer)]

    def reads_in_place(self, buffer: Any) -> bool:
        """Whether every load of the buffer is at the block's own iterators, all of them in order."""
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
        """How many elements further the access is when the iterator at that position advances; None if that varies."""
        key = (access, at)
        if key not in self._strides:
            self._strides[key] = self._step(access.offset, self.variables[at], self.extents[at])
        return self._strides[key]

    def is_one_loop(self, outer: int, inner: int) -> bool:
        """Whether two iterators walk through every buffer as a single one would."""
        strides = [(self.stride(each, outer), self.stride(each, inner)) for each in self.accesses]
        return all(
            far is not None and near is not None and far == near * self.extents[inner] for far, near in strides
        ) and not self.steers(outer)

    def steers(self, at: int) -> bool:
        """Whether a condition of the block depends on the iterator: then it cannot be a lane of a vector."""
        return any(_uses(condition, self.variables[at]) for condition in self.conditions)

    def is_shared(self, access: Access, at: int, size: int) -> bool:
        """Whether the access stays where it is within aligned tiles of that size of the iterator."""
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

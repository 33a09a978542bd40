"""Undefined behaviour of a kernel: accesses outside its buffers, and conversions of numbers that do not fit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm_ffi
from tvm import tirx
from tvm.ir import Call, TensorLoad, TensorRegion, prim
from tvm.s_tir import SBlock
from tvm.tirx import PrimFunc, const

from tvm_mutate.passes.fact_walk import Fact, FactWalk, has_no_effect
from tvm_mutate.passes.index_values import IndexBounds, Iterations, UndecidedError
from tvm_mutate.passes.ir_rewriting import leave_alone
from tvm_mutate.passes.selection import one_line

READ, WRITE = "read", "write"
# Calls and buffers inside other buffers can access memory without a load or store of the buffer.
_HIDING = (Call, SBlock, tirx.DeclBuffer)
_POINTERS = ("tirx.address_of",)


@dataclass(frozen=True)
class OutsideAccess:
    """An access that leaves its buffer: ``kind`` is ``read`` or ``write``, ``expression`` the access in TVMScript.

    ``reached`` says in words how far outside the access goes.
    """

    kind: str
    expression: str
    reached: str


@dataclass(frozen=True)
class Accesses:
    """The accesses of a kernel: those certain to be outside a buffer, and whether all others are certain to be inside.

    ``written`` are the positions of the parameters whose buffers the kernel writes to.
    """

    outside: tuple[OutsideAccess, ...]
    others_inside: bool
    written: frozenset[int] = frozenset()

    def harm_nothing(self, arguments: int) -> bool:
        """Whether the kernel certainly accesses only its buffers and writes to none of its arguments.

        ``arguments`` is their number; the parameters for results follow them.
        """
        return self.others_inside and not self.outside and all(each >= arguments for each in self.written)


def find_outside(function: tirx.PrimFunc) -> Accesses:
    """The accesses of a structured PrimFunc that certainly leave their buffers.

    An access that leaves its row but not the buffer is inside: elements are contiguous, so the result is defined.
    """
    found: dict[tuple[str, str], OutsideAccess] = {}
    undecided = False
    bounds = IndexBounds()
    parameters = {parameter: position for position, parameter in enumerate(function.params)}
    written: set[int] = set()

    def look(node: Any, facts: Sequence[Fact]) -> bool:
        nonlocal undecided
        if not isinstance(node, TensorLoad | tirx.BufferStore):
            undecided |= _hides_accesses(node)
            return True
        if isinstance(node, tirx.BufferStore) and node.buffer in parameters:
            written.add(parameters[node.buffer])
        if len(_buffer(node).strides):
            undecided = True
            return True
        if bounds.are_inside(node.indices, _buffer(node).shape, facts):
            return True
        around = Iterations()
        for add in facts:
            add(around)
        try:
            reached = _reached_outside(node, around)
        except (UndecidedError, ValueError, TypeError):
            undecided = True
            return True
        if reached is not None:
            if around.has_unknown_conditions:
                undecided = True
                return True
            kind = WRITE if isinstance(node, tirx.BufferStore) else READ
            expression = _expression(node)
            found.setdefault((kind, expression), OutsideAccess(kind, expression, reached))
        return True

    FactWalk([TensorLoad, tirx.BufferStore, *_HIDING], look).walk(function)
    return Accesses(tuple(found.values()), not undecided, frozenset(written))


def _hides_accesses(node: Any) -> bool:
    """Whether a node can access memory other than by a load or store of a buffer."""
    if isinstance(node, Call):
        return not has_no_effect(node) or node.op.name in _POINTERS
    return bool(node.match_buffers) if isinstance(node, SBlock) else True


def _reached_outside(node: Any, around: Iterations) -> str | None:
    """How far an access leaves its buffer, in words; None if the access stays inside. Raises UndecidedError."""
    buffer = _buffer(node)
    shape = [int(dim.value) for dim in buffer.shape if isinstance(dim, prim.IntImm)]
    if len(shape) != len(buffer.shape) or len(node.indices) != len(shape):
        raise UndecidedError(f"the shape of {buffer.name} is not static")
    leaving = [at for at, extent in enumerate(shape) if not _stays(node.indices[at], extent, around)]
    if not leaving:
        return None
    indices, complete = around.values(list(node.indices))
    strides = [math.prod(shape[at + 1 :]) for at in range(len(shape))]
    offsets = np.array(strides) @ indices if shape else np.zeros(1, np.int64)
    outside = (offsets < 0) | (offsets >= math.prod(shape))
    if not outside.any():
        if complete:
            return None
        raise UndecidedError(f"{buffer.name} has too many iterations")
    ranges = [
        f"index {at} goes from {indices[at].min()} to {indices[at].max()} of 0 to {shape[at] - 1}" for at in leaving
    ]
    return f"{', '.join(ranges)}; {int(outside.sum())} accesses outside {buffer.name}"


def _stays(index: Any, extent: int, around: Iterations) -> bool:
    """Whether an index certainly stays within its dimension."""
    values, complete = around.values([index])
    return complete and bool(np.all((values >= 0) & (values < extent)))


def _buffer(node: Any) -> tirx.Buffer:
    return node.buffer if isinstance(node, tirx.BufferStore) else node.source


def _expression(node: Any) -> str:
    return f"{_buffer(node).name}[{', '.join(one_line(index) for index in node.indices)}]"


_INTEGER = re.compile(r"(u?)int(\d+)")
# The bits of a significand: numbers beyond them have no fraction, so none lies just below an integer type's lowest.
_FRACTIONS = {"float16": 11, "float32": 24, "float64": 53}
_MARK = 85


def with_marked_conversions(function: PrimFunc) -> PrimFunc | None:
    """The function with a mark as the result of each conversion to an integer type that cannot hold the number.

    None if no floating-point number is converted to an integer. In LLVM IR (fptosi, fptoui) and in C the result of such
    a conversion is undefined, also for NaN: vector instructions give other numbers than scalar ones, and the alignment
    of buffers can decide which of them computes an element. If the marked function has other results than the function,
    the results contain undefined values.
    """
    marked = 0

    def mark(node: Any, mutator: Any) -> Any:
        nonlocal marked
        rebuilt = mutator.default_mutate(node)
        fits = _fits(rebuilt.value, str(node.ty.dtype), str(node.value.ty.dtype))
        if fits is None:
            return rebuilt
        marked += 1
        return prim.Select(fits, rebuilt, const(_MARK, str(node.ty.dtype)))

    result = tvm_ffi.structural_mutate(function, [(prim.Cast, mark), (TensorRegion, leave_alone)])
    return result if marked else None


def _fits(value: Any, integer: str, number: str) -> Any | None:
    """The condition that an integer type holds a number without its fraction; None for other conversions."""
    found = _INTEGER.fullmatch(integer)
    if found is None or number not in _FRACTIONS:
        return None
    bits = int(found[2])
    end = 2.0**bits if found[1] else 2.0 ** (bits - 1)
    lowest = 0.0 if found[1] else -end
    is_cut_off = found[1] or bits <= _FRACTIONS[number]
    above = prim.GT(value, const(lowest - 1, number)) if is_cut_off else prim.GE(value, const(lowest, number))
    return prim.And(above, prim.LT(value, const(end, number)))

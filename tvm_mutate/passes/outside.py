"""Which accesses of a kernel leave their buffers, decided by the index that each has at every iteration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import tirx
from tvm.ir import Call, TensorLoad, prim
from tvm.s_tir import SBlock

from tvm_mutate.passes.effects import has_no_effect
from tvm_mutate.passes.fact_walk import Fact, FactWalk
from tvm_mutate.passes.index_bounds import IndexBounds
from tvm_mutate.passes.iterations import Iterations, UndecidedError
from tvm_mutate.passes.selection import one_line

READ, WRITE = "read", "write"
# Buffers that lie in others, and calls, may stand for accesses that no load or store tells of.
_HIDING = (Call, SBlock, tirx.DeclBuffer)
_POINTERS = ("tirx.address_of",)


@dataclass(frozen=True)
class OutsideAccess:
    """An access that leaves its buffer: ``kind`` is ``read`` or ``write``, ``expression`` the access as in TVMScript.

    ``reached`` says in words how far it goes.
    """

    kind: str
    expression: str
    reached: str


@dataclass(frozen=True)
class Accesses:
    """What is known of a kernel's accesses: those outside a buffer, and whether all others are inside.

    ``written`` are the positions of the parameters whose buffers it writes to.
    """

    outside: tuple[OutsideAccess, ...]
    others_inside: bool
    written: frozenset[int] = frozenset()

    def harm_nothing(self, arguments: int) -> bool:
        """Whether it is certain that the kernel touches its buffers alone, and leaves so many arguments as they are.

        Its results come behind its arguments.
        """
        return self.others_inside and not self.outside and all(each >= arguments for each in self.written)


def find_outside(function: tirx.PrimFunc) -> Accesses:
    """The accesses of a structured PrimFunc of which it is certain that they leave their buffers.

    An access may leave its row and still be inside the buffer: its elements lie one behind another, and every device
    finds the same one there.
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
    """Whether memory is accessed by a node under another name than a buffer's, or by somebody else."""
    if isinstance(node, Call):
        return not has_no_effect(node) or node.op.name in _POINTERS
    return bool(node.match_buffers) if isinstance(node, SBlock) else True


def _reached_outside(node: Any, around: Iterations) -> str | None:
    """How far an access leaves its buffer, in words; None for one that stays inside. Raises UndecidedError."""
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
    told = [
        f"index {at} goes from {indices[at].min()} to {indices[at].max()} of 0 to {shape[at] - 1}" for at in leaving
    ]
    return f"{', '.join(told)}; {int(outside.sum())} accesses outside {buffer.name}"


def _stays(index: Any, extent: int, around: Iterations) -> bool:
    """Whether an index is certain to stay within its dimension."""
    values, complete = around.values([index])
    return complete and bool(np.all((values >= 0) & (values < extent)))


def _buffer(node: Any) -> tirx.Buffer:
    return node.buffer if isinstance(node, tirx.BufferStore) else node.source


def _expression(node: Any) -> str:
    return f"{_buffer(node).name}[{', '.join(one_line(index) for index in node.indices)}]"

"""Which nodes of a PrimFunc cannot be chosen at run time: what decides its structure rather than its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorRegion
from tvm.s_tir import SBlock, SBlockRealize

LOOP_BOUND = "it decides how often a loop runs"
BLOCK = "it decides what a block is: its iterators, or how they are bound"
BUFFER = "it decides the shape of a buffer"
ATTRIBUTE = "it is part of an attribute"

Parts = Callable[[Any], list[Any]]

# Of each statement that has some: its parts that the compiler needs to know, and why.
_STRUCTURE: dict[type, tuple[Parts, str]] = {
    tirx.For: (lambda loop: [loop.min, loop.extent, loop.step, loop.thread_binding, loop.annotations], LOOP_BOUND),
    SBlock: (lambda block: [block.iter_vars, block.alloc_buffers, block.match_buffers, block.annotations], BLOCK),
    SBlockRealize: (lambda realize: [realize.iter_values], BLOCK),
    tirx.AttrStmt: (lambda attribute: [attribute.node, attribute.value], ATTRIBUTE),
    tirx.AllocBuffer: (lambda allocation: [allocation.buffer], BUFFER),
    tirx.DeclBuffer: (lambda declaration: [declaration.buffer], BUFFER),
}


def unguardable_nodes(function: tirx.PrimFunc, types: tuple[type, ...]) -> dict[Any, str]:
    """Why nodes of a function cannot be chosen at run time, by their handles; others, of these types, can be.

    TVM shares nodes: one that also stands elsewhere is not chosen there either.
    """
    found: dict[Any, str] = {}

    def note_all(part: Any, reason: str) -> None:
        tvm_ffi.structural_walk(part, [(types, lambda node: found.__setitem__(node.__chandle__(), reason))])

    def on_statement(statement: Any, visitor: Any) -> None:
        parts, reason = _STRUCTURE[type(statement)]
        for part in parts(statement):
            if part is not None:
                note_all(part, reason)
        visitor.default_visit(statement)

    skipped = (TensorRegion, lambda _node, _visitor: None)
    if isinstance(function.body, SBlockRealize):  # nothing can stand beside the block around all others
        found[function.body.block.__chandle__()] = BLOCK
    tvm_ffi.structural_visit(function, [skipped, (tuple(_STRUCTURE), on_statement)])
    return found

"""Finds and rewrites the sites of TIR rules in one PrimFunc, with one engine for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import CallingConv, TensorRegion

from tvm_mutate.mutant import TirRule
from tvm_mutate.passes.prologue import with_prologue
from tvm_mutate.passes.selection import Tally

COMPUTE_SCOPE = "compute_scope"


def rewrite_prim_func(function: tirx.PrimFunc, tallies: Sequence[Tally]) -> tirx.PrimFunc:
    """The function with the selected sites of every tally rewritten; tallies count what was found and done.

    Nodes are numbered in post order. In a host function with packed-API argument checks (after MakePackedAPI)
    only the body under ``compute_scope`` is looked at: the checks are TVM's, not the kernel's.
    """

    def mutate(node: Any, mutator: Any, offered: Sequence[Tally]) -> Any:
        rebuilt = mutator.default_mutate(node)
        for tally in offered:
            rebuilt = tally.visit(node, rebuilt)
        return rebuilt

    callbacks = _callbacks(function, tallies, mutate)
    rewritten = tvm_ffi.structural_mutate(function, [*callbacks, (TensorRegion, leave_alone)])
    calls_runtime = any(tally.applied and _rule(tally).calls_runtime for tally in tallies)
    return with_prologue(rewritten, [_beginning_executions()]) if calls_runtime else rewritten


def count_in_prim_func(function: tirx.PrimFunc, tallies: Sequence[Tally]) -> None:
    """Has every tally count its sites in the function; nothing is rewritten, which takes half the time."""

    def count(node: Any, visitor: Any, offered: Sequence[Tally]) -> None:
        visitor.default_visit(node)
        for tally in offered:
            tally.count(node)

    callbacks = _callbacks(function, tallies, count)
    tvm_ffi.structural_visit(function, [*callbacks, (TensorRegion, _pass_over)])


def _callbacks(
    function: tirx.PrimFunc, tallies: Sequence[Tally], on_offer: Callable[[Any, Any, Sequence[Tally]], Any]
) -> list[tuple[Any, Any]]:
    """What gives each node to ``on_offer``, with those of the tallies whose operators it is to be offered to."""
    inside = _is_whole(function)
    offered: dict[type, list[Tally]] = {}
    for tally in tallies:
        for node_type in _rule(tally).node_types:
            offered.setdefault(node_type, []).append(tally)

    def on_node(node: Any, engine: Any) -> Any:
        return on_offer(node, engine, offered.get(type(node), ()) if inside else ())

    def on_attribute(node: tirx.AttrStmt, engine: Any) -> Any:
        nonlocal inside
        if inside or node.attr_key != COMPUTE_SCOPE:
            return on_node(node, engine)
        inside = True
        rebuilt = on_offer(node, engine, ())
        inside = False
        return rebuilt

    types = sorted(offered.keys() - {tirx.AttrStmt}, key=lambda kind: kind.__name__)
    return [*([(tuple(types), on_node)] if types else []), (tirx.AttrStmt, on_attribute)]


def parts_with_sites(function: tirx.PrimFunc) -> list[Any]:
    """The parts of a function in which nodes are numbered: the whole of it, or what is under ``compute_scope``."""
    if _is_whole(function):
        return [function]
    parts: list[Any] = []

    def on_attribute(node: tirx.AttrStmt, visitor: Any) -> None:
        if node.attr_key == COMPUTE_SCOPE:
            parts.append(node)
        else:
            visitor.default_visit(node)

    tvm_ffi.structural_visit(function, [(tirx.AttrStmt, on_attribute)])
    return parts


def _beginning_executions() -> tirx.Evaluate:
    """The statement with which a kernel begins that has faults at single executions: they are counted by call."""
    return tirx.Evaluate(tirx.call_extern("int32", "tvm_mutate_begin_executions"))


def leave_alone(node: Any, _mutator: Any) -> Any:
    """The node: what blocks declare to read and write repeats what their bodies do, and has no effect of its own."""
    return node


def _pass_over(_node: Any, _visitor: Any) -> None:
    """Does not descend, for the same reason."""


def _rule(tally: Tally) -> TirRule:
    rule = tally.selection.operator.rule
    assert isinstance(rule, TirRule)
    return rule


def _is_whole(function: tirx.PrimFunc) -> bool:
    convention = function.attrs.get("calling_conv") if function.attrs else None
    return convention is None or int(convention) != int(CallingConv.C_PACKED_FUNC)

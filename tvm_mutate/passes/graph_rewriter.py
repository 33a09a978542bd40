"""Finds and rewrites the sites of Relax rules in one Relax function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import relax

from tvm_mutate.mutant import FunctionRule, GraphRule
from tvm_mutate.passes.modules import with_functions
from tvm_mutate.passes.selection import Site, Tally


def rewrite_relax_function(module: tvm.IRModule, name: str, tallies: Sequence[Tally]) -> tvm.IRModule:
    """The module with the selected sites of its Relax function ``name`` rewritten.

    Calls are numbered in the order of their bindings; rules on whole functions have one site and are applied
    last.
    """
    calls = [tally for tally in tallies if isinstance(tally.selection.operator.rule, GraphRule)]
    if calls:
        variable = module.get_global_var(name)
        rewriter = _CallRewriter(module, calls)
        function = rewriter.visit_expr(module[variable])
        if any(tally.applied for tally in calls):
            module = with_functions(module, {variable: function})
            module = relax.transform.Normalize()(module)
    for tally in tallies:
        if isinstance(tally.selection.operator.rule, FunctionRule):
            module = _rewrite_whole(module, name, tally)
    return module


def _rewrite_whole(module: tvm.IRModule, name: str, tally: Tally) -> tvm.IRModule:
    rule, parameters = tally.selection.operator.rule, tally.selection.parameters
    assert isinstance(rule, FunctionRule)

    rewritten = rule.rewrite(module, name, parameters)
    if rewritten is None:
        return module
    tally.found = 1
    if tally.positions is not None:
        tally.positions.append(0)
    if tally.descriptions is not None:
        tally.descriptions.append(Site(name, 0, f"function {name}", f"function {name} rewritten"))
    if 0 not in tally.selection.mutation.sites:
        return module
    tally.applied.append(0)
    return rewritten


@relax.expr_functor.mutator
class _CallRewriter(relax.PyExprMutator):
    """Offers every call of a Relax operator to the rules that name the operator."""

    def __init__(self, module: tvm.IRModule, tallies: Sequence[Tally]) -> None:
        super().__init__(module)
        self.tallies_by_op: dict[str, list[Tally]] = {}
        for tally in tallies:
            for op in tally.selection.operator.rule.ops:  # type: ignore[union-attr]
                self.tallies_by_op.setdefault(op, []).append(tally)

    def visit_call_(self, call: relax.Call) -> Any:
        rebuilt = self.visit_expr_post_order(call)
        if isinstance(call.op, tvm.ir.Op):
            for tally in self.tallies_by_op.get(call.op.name, ()):
                replaced = tally.visit(call, rebuilt)
                if replaced is not rebuilt:  # the next mutation of the same call asks for the types in it
                    rebuilt = self.builder_.normalize(replaced)
        return rebuilt

"""Finds and rewrites the sites of operators in one TIR or Relax function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.ir import CallingConv, TensorRegion
from tvm.s_tir import SBlock, SBlockRealize

from tvm_mutate.mutant import FunctionRule, GraphRule, TirRule
from tvm_mutate.passes.selection import FunctionSites, Site

COMPUTE_SCOPE = "compute_scope"


def rewrite_prim_func(function: tirx.PrimFunc, all_sites: Sequence[FunctionSites]) -> tirx.PrimFunc:
    """The function with the selected sites rewritten; ``all_sites`` are counted and note what was applied.

    Nodes are numbered in post order. In a host function with packed-API argument checks (after MakePackedAPI)
    only the body under ``compute_scope`` has sites: the checks are TVM's, not the kernel's.
    """

    def mutate(node: Any, mutator: Any, offered: Sequence[FunctionSites]) -> Any:
        rebuilt = mutator.default_mutate(node)
        for sites_here in offered:
            rebuilt = sites_here.visit(node, rebuilt)
        return rebuilt

    callbacks = _callbacks(function, all_sites, mutate)
    rewritten = tvm_ffi.structural_mutate(function, [*callbacks, (TensorRegion, leave_alone)])
    calls_runtime = any(sites_here.applied and _rule(sites_here).calls_runtime for sites_here in all_sites)
    return _with_prologue(rewritten) if calls_runtime else rewritten


def count_in_prim_func(function: tirx.PrimFunc, all_sites: Sequence[FunctionSites]) -> None:
    """Counts the sites in the function without rewriting, which takes half the time."""

    def count(node: Any, visitor: Any, offered: Sequence[FunctionSites]) -> None:
        visitor.default_visit(node)
        for sites_here in offered:
            sites_here.count(node)

    callbacks = _callbacks(function, all_sites, count)
    tvm_ffi.structural_visit(function, [*callbacks, (TensorRegion, _pass_over)])


def _callbacks(
    function: tirx.PrimFunc,
    all_sites: Sequence[FunctionSites],
    on_offer: Callable[[Any, Any, Sequence[FunctionSites]], Any],
) -> list[tuple[Any, Any]]:
    """The callbacks that give each node to ``on_offer``, with those of ``all_sites`` whose rules take its type."""
    inside = _is_whole(function)
    offered: dict[type, list[FunctionSites]] = {}
    for sites_here in all_sites:
        for node_type in _rule(sites_here).node_types:
            offered.setdefault(node_type, []).append(sites_here)

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
    """The parts of a function that have sites: the whole function, or the bodies under ``compute_scope``."""
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


def leave_alone(node: Any, _mutator: Any) -> Any:
    """The node unchanged: the regions that blocks declare only repeat what their bodies read and write."""
    return node


def _pass_over(_node: Any, _visitor: Any) -> None:
    """Skips the regions that blocks declare when counting."""


def _rule(sites_here: FunctionSites) -> TirRule:
    rule = sites_here.selection.operator.rule
    assert isinstance(rule, TirRule)
    return rule


def _is_whole(function: tirx.PrimFunc) -> bool:
    convention = function.attrs.get("calling_conv") if function.attrs else None
    return convention is None or int(convention) != int(CallingConv.C_PACKED_FUNC)


def rewrite_relax_function(module: tvm.IRModule, name: str, all_sites: Sequence[FunctionSites]) -> tvm.IRModule:
    """The module with the selected sites of its Relax function ``name`` rewritten.

    Calls are numbered in the order of their bindings. Rules on whole functions have one site and are applied last.
    """
    calls = [sites_here for sites_here in all_sites if isinstance(sites_here.selection.operator.rule, GraphRule)]
    if calls:
        variable = module.get_global_var(name)
        rewriter = _CallRewriter(module, module[variable], calls)
        function = rewriter.visit_expr(module[variable])
        if any(sites_here.applied for sites_here in calls):
            module = with_functions(module, {variable: function})
            module = relax.transform.Normalize()(module)
    for sites_here in all_sites:
        if isinstance(sites_here.selection.operator.rule, FunctionRule):
            module = _rewrite_whole(module, name, sites_here)
    return module


def _rewrite_whole(module: tvm.IRModule, name: str, sites_here: FunctionSites) -> tvm.IRModule:
    rule, parameters = sites_here.selection.operator.rule, sites_here.selection.parameters
    assert isinstance(rule, FunctionRule)

    rewritten = rule.rewrite(module, name, parameters)
    if rewritten is None:
        return module
    sites_here.found = 1
    if sites_here.positions is not None:
        sites_here.positions.append(0)
    if sites_here.descriptions is not None:
        sites_here.descriptions.append(Site(name, 0, f"function {name}", f"function {name} rewritten"))
    if 0 not in sites_here.selection.mutation.sites:
        return module
    sites_here.applied.append(0)
    return rewritten


@relax.expr_functor.mutator
class _CallRewriter(relax.PyExprMutator):
    """Offers every call of a Relax operator to the rules for that operator."""

    def __init__(self, module: tvm.IRModule, function: relax.Function, all_sites: Sequence[FunctionSites]) -> None:
        super().__init__(module)
        self.tallies_by_op: dict[str, list[FunctionSites]] = {}
        contexts: dict[Any, Any] = {}  # several rules share one
        for sites_here in all_sites:
            rule = sites_here.selection.operator.rule
            assert isinstance(rule, GraphRule)
            if rule.context is not None:
                if rule.context not in contexts:
                    contexts[rule.context] = rule.context(function)
                sites_here.give_context(contexts[rule.context])
            for op in rule.ops:
                self.tallies_by_op.setdefault(op, []).append(sites_here)

    def visit_call_(self, call: relax.Call) -> Any:
        rebuilt = self.visit_expr_post_order(call)
        if isinstance(call.op, tvm.ir.Op):
            for sites_here in self.tallies_by_op.get(call.op.name, ()):
                replaced = sites_here.visit(call, rebuilt)
                if replaced is not rebuilt:  # the next mutation of the same call needs types
                    rebuilt = self.builder_.normalize(replaced)
        return rebuilt


# The attribute of a function whose code calls the run-time support of the native library.
CALLS_RUNTIME = "tvm_mutate.calls_runtime"

_BLOCK_FIELDS = (
    "iter_vars",
    "reads",
    "writes",
    "name_hint",
    "body",
    "init",
    "alloc_buffers",
    "match_buffers",
    "annotations",
)


def _with_prologue(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """The function with a call of the run-time support first, which counts the executions of its faults by call."""
    begin = tirx.Evaluate(tirx.call_extern("int32", "tvm_mutate_begin_executions"))
    realize = function.body
    is_structured = isinstance(realize, SBlockRealize)
    body: Any = realize.block.body if is_structured else realize
    body = tirx.SeqStmt([begin, *(body.seq if isinstance(body, tirx.SeqStmt) else [body])])
    if is_structured:
        fields = {name: getattr(realize.block, name) for name in _BLOCK_FIELDS}
        body = SBlockRealize(realize.iter_values, realize.predicate, SBlock(**fields | {"body": body}))
    return function.with_body(body).with_attr(CALLS_RUNTIME, 1)


def with_functions(module: tvm.IRModule, functions: Mapping[tvm.ir.GlobalVar, tvm.ir.BaseFunc]) -> tvm.IRModule:
    """The module with some functions replaced; the same object if ``functions`` is empty."""
    if not functions:
        return module
    return tvm.IRModule({**module.functions, **functions}, attrs=module.attrs, global_infos=module.global_infos)

"""Applies mutations to a module and proves that they were applied; finds and counts their sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import tvm
import tvm_ffi
from tvm import relax, tirx

from tvm_mutate.mutant import Catalogue, Mutation, Sites, Slot, TirRule
from tvm_mutate.passes.ir_rewriting import (
    count_in_prim_func,
    rewrite_prim_func,
    rewrite_relax_function,
    with_functions,
)
from tvm_mutate.passes.selection import Applied, FunctionSites, Selection, Site, naming_operators


def apply_mutations(module: tvm.IRModule, selections: Sequence[Selection]) -> tuple[tvm.IRModule, list[Applied]]:
    """The module with all the selections applied at once, and what each did to each function that it matches.

    All selections must act in the same slot. The report is in the order of function names. Raises OperatorError if a
    rule raises, or if TVM refuses what the rule made.
    """
    report: list[Applied] = []
    for name in _function_names(module):
        before = module[name]
        all_sites = _sites_in(before, name, selections)
        with naming_operators([each.selection for each in all_sites], name):
            module = _rewritten(module, name, all_sites)
        is_rewritten = any(each.applied for each in all_sites)
        changed = is_rewritten and not tvm_ffi.structural_equal(before, module[name])
        report += [each.report(changed) for each in all_sites]
    return module, report


def take_effect_together(module: tvm.IRModule, selections: Sequence[Selection]) -> bool:
    """Whether all the selections are applied at once, and the module would differ without any one of them.

    Each selection must be for a single site of one function. A selection inside a node that another one drops has no
    effect.
    """
    together, report = apply_mutations(module, selections)
    applied = {each.mutation for each in report if each.changed}
    for number, selection in enumerate(selections):
        name = selection.mutation.function
        without, _ = apply_mutations(module, [*selections[:number], *selections[number + 1 :]])
        if selection.mutation not in applied or tvm_ffi.structural_equal(without[name], together[name]):
            return False
    return True


def find_sites(module: tvm.IRModule, selection: Selection) -> list[Site]:
    """The sites of the selection in the module, by function name and ordinal."""
    sites: list[Site] = []
    for name in _function_names(module):
        for each in _sites_in(module[name], name, [selection]):
            each.descriptions = sites
            _rewritten(module, name, [each])
    return sites


def site_positions(module: tvm.IRModule, selection: Selection) -> dict[str, list[int]]:
    """The positions of the operator's sites in each function, counted among all nodes of the rule's types.

    A replacement without effect is not a site, so ordinals depend on the parameters of the operator; positions do not.
    """
    positions: dict[str, list[int]] = {}
    for name in _function_names(module):
        for each in _sites_in(module[name], name, [_counting(selection)]):
            each.positions = positions[name] = []
            _count(module, name, [each])
    return positions


def count_all_sites(module: tvm.IRModule, selections: Sequence[Selection]) -> list[dict[str, int]]:
    """For each selection, the number of sites of its operator by function, for functions with sites.

    All selections must act in the same slot. Every function is walked once for all selections.
    """
    counting = [_counting(selection) for selection in selections]
    counts: dict[int, dict[str, int]] = {id(each): {} for each in counting}
    for name in _function_names(module):
        all_sites = _sites_in(module[name], name, counting)
        _count(module, name, all_sites)
        for each in all_sites:
            if each.found:
                counts[id(each.selection)][name] = each.found
    return list(counts.values())


def selections_by_slot(mutations: Sequence[Mutation], catalogue: Catalogue) -> dict[Slot, list[Selection]]:
    """The mutations resolved against the catalogue, grouped by slot."""
    grouped: dict[Slot, list[Selection]] = {}
    for mutation in mutations:
        selection = Selection.resolve(mutation, catalogue)
        grouped.setdefault(selection.slot, []).append(selection)
    return grouped


def _function_names(module: tvm.IRModule) -> list[str]:
    return sorted(variable.name_hint for variable in module.functions)


def _counting(selection: Selection) -> Selection:
    """The selection with an empty range of sites: its sites are counted and none is rewritten."""
    return replace(selection, mutation=selection.mutation.at(selection.mutation.function, Sites(0, -1)))


def _sites_in(function: tvm.ir.BaseFunc, name: str, selections: Sequence[Selection]) -> list[FunctionSites]:
    """The sites, still uncounted, of those selections that match the function and have a rule for its kind."""
    on_tir = isinstance(function, tirx.PrimFunc)
    if not on_tir and not isinstance(function, relax.Function):
        return []
    return [
        FunctionSites(selection, name)
        for selection in selections
        if selection.mutation.matches(name) and isinstance(selection.operator.rule, TirRule) == on_tir
    ]


def _count(module: tvm.IRModule, name: str, all_sites: Sequence[FunctionSites]) -> None:
    if all_sites and isinstance(module[name], tirx.PrimFunc):
        count_in_prim_func(module[name], all_sites)
    elif all_sites:
        rewrite_relax_function(module, name, all_sites)


def _rewritten(module: tvm.IRModule, name: str, all_sites: Sequence[FunctionSites]) -> tvm.IRModule:
    if not all_sites:
        return module
    if not isinstance(module[name], tirx.PrimFunc):
        return rewrite_relax_function(module, name, all_sites)
    rewritten = rewrite_prim_func(module[name], all_sites)
    if not any(each.applied for each in all_sites):
        return module
    return with_functions(module, {module.get_global_var(name): rewritten})

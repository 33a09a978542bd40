"""Applies mutations to a module and proves that they were applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import tvm
import tvm_ffi
from tvm import relax, tirx

from tvm_mutate.mutant import Catalogue, Mutation, Sites, Slot, TirRule
from tvm_mutate.passes.graph_rewriter import rewrite_relax_function
from tvm_mutate.passes.modules import with_functions
from tvm_mutate.passes.selection import Selection, Site, Tally
from tvm_mutate.passes.tir_rewriter import count_in_prim_func, rewrite_prim_func


@dataclass(frozen=True)
class Applied:
    """What one mutation did to one function.

    ``found`` counts the operator's sites there, ``sites`` are those that were rewritten, and ``changed`` says
    whether the function is structurally different from before: the proof, which no counter can stand in for.
    """

    mutation: Mutation
    function: str
    found: int
    sites: tuple[int, ...]
    changed: bool


def apply_mutations(module: tvm.IRModule, selections: Sequence[Selection]) -> tuple[tvm.IRModule, list[Applied]]:
    """The module with all the selections applied at once, and what each did to each function it matches.

    All the selections have to act in one slot. Functions are taken in the order of their names.
    """
    report: list[Applied] = []
    for name in sorted(variable.name_hint for variable in module.functions):
        matching = [selection for selection in selections if selection.mutation.matches(name)]
        if not matching:
            continue
        before = module[name]
        module, tallies = _rewrite(module, name, matching, describe=False)
        changed = not tvm_ffi.structural_equal(before, module[name])
        report += [
            Applied(
                tally.selection.mutation,
                name,
                tally.found,
                tuple(tally.applied),
                changed and bool(tally.applied),
            )
            for tally in tallies
        ]
    return module, report


def take_effect_together(module: tvm.IRModule, selections: Sequence[Selection]) -> bool:
    """Whether the selections, applied at once, are all applied, and each changes what the others make of the module.

    Each has to be for a single site of one function. One that rewrites what another throws away changes nothing.
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
    """The sites of the selection in the module, by function name and ordinal; nothing is changed."""
    sites: list[Site] = []
    for name in sorted(variable.name_hint for variable in module.functions):
        if selection.mutation.matches(name):
            for tally in _rewrite(module, name, [selection], describe=True)[1]:
                sites += tally.descriptions or []
    return sites


def site_positions(module: tvm.IRModule, selection: Selection) -> dict[str, list[int]]:
    """Where the sites of the selection's operator are in each function: their places among all nodes of their types.

    An operator's ordinals can differ from parameter to parameter, since what has no effect is no site; these do not.
    """
    positions: dict[str, list[int]] = {}
    for name in sorted(variable.name_hint for variable in module.functions):
        if selection.mutation.matches(name):
            for tally in _tallies(module[name], name, [_counting(selection)]):
                tally.positions = positions[name] = []
                _count_in_function(module, name, [tally])
    return positions


def count_sites(module: tvm.IRModule, selection: Selection) -> dict[str, int]:
    """How many sites the selection's operator has in each function, functions without sites left out."""
    (counts,) = count_all_sites(module, [selection])
    return counts


def count_all_sites(module: tvm.IRModule, selections: Sequence[Selection]) -> list[dict[str, int]]:
    """For each selection, how many sites its operator has in each function that has some.

    All have to act in one slot. Every function is walked through once, however many selections there are.
    """
    counts: list[dict[str, int]] = [{} for _ in selections]
    counted = [_counting(selection) for selection in selections]
    for name in sorted(variable.name_hint for variable in module.functions):
        matching = {number: each for number, each in enumerate(counted) if each.mutation.matches(name)}
        numbers = {id(selection): number for number, selection in matching.items()}
        tallies = _tallies(module[name], name, list(matching.values()))
        _count_in_function(module, name, tallies)
        for tally in tallies:
            if tally.found:
                counts[numbers[id(tally.selection)]][name] = tally.found
    return counts


def _counting(selection: Selection) -> Selection:
    """The selection at no site of the same functions, so that nothing is rewritten."""
    return replace(selection, mutation=selection.mutation.at(selection.mutation.function, Sites.none()))


def selections_by_slot(mutations: Sequence[Mutation], catalogue: Catalogue) -> dict[Slot, list[Selection]]:
    """The mutations resolved against the catalogue and grouped by the slot in which they act."""
    grouped: dict[Slot, list[Selection]] = {}
    for mutation in mutations:
        selection = Selection.resolve(mutation, catalogue)
        grouped.setdefault(selection.slot, []).append(selection)
    return grouped


def _rewrite(
    module: tvm.IRModule, name: str, selections: Sequence[Selection], describe: bool
) -> tuple[tvm.IRModule, list[Tally]]:
    tallies = _tallies(module[name], name, selections)
    for tally in tallies:
        tally.descriptions = [] if describe else None
    return _rewrite_function(module, name, tallies), tallies


def _tallies(function: tvm.ir.BaseFunc, name: str, selections: Sequence[Selection]) -> list[Tally]:
    """A tally for each of the selections whose operators are for functions of this kind."""
    on_tir = isinstance(function, tirx.PrimFunc)
    if not on_tir and not isinstance(function, relax.Function):
        return []
    return [
        Tally(selection, name) for selection in selections if isinstance(selection.operator.rule, TirRule) == on_tir
    ]


def _count_in_function(module: tvm.IRModule, name: str, tallies: Sequence[Tally]) -> None:
    if tallies and isinstance(module[name], tirx.PrimFunc):
        count_in_prim_func(module[name], tallies)
    elif tallies:
        rewrite_relax_function(module, name, tallies)


def _rewrite_function(module: tvm.IRModule, name: str, tallies: Sequence[Tally]) -> tvm.IRModule:
    if not tallies:
        return module
    if not isinstance(module[name], tirx.PrimFunc):
        return rewrite_relax_function(module, name, tallies)
    rewritten = rewrite_prim_func(module[name], tallies)
    if not any(tally.applied for tally in tallies):
        return module
    return with_functions(module, {module.get_global_var(name): rewritten})

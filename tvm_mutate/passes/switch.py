"""Switchable kernels: one PrimFunc for many mutations of single sites, of which one is active at run time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Var, prim
from tvm.s_tir import SBlock, SBlockRealize

from tvm_mutate.mutant import TirRule
from tvm_mutate.passes.accesses import accesses_depend_on_data, converts_to_integers, keeps_accesses
from tvm_mutate.passes.guardable import BLOCK, unguardable_nodes
from tvm_mutate.passes.guarded_nests import by_nests, redefined
from tvm_mutate.passes.prologue import with_prologue
from tvm_mutate.passes.selection import Selection, Tally
from tvm_mutate.passes.tir_rewriter import rewrite_prim_func

SEVERAL_SITES = "it is of several sites, and guards within guards would not be the mutant"
NO_SITE = "it has no such site"
NOT_TIR = "it is no mutation of a kernel"
CALLS_RUNTIME_ITSELF = "it calls the runtime itself"
OTHER_TYPE = "it gives a value of another type"
CONVERSION = (
    "it makes integers of floating-point values, and what is out of range becomes depends on the code around it"
)
OTHER_ACCESSES = "it may access other elements, and what it finds there depends on the code around it"

_ACTIVE, _REACH = "tvm_mutate_active_site", "tvm_mutate_reach_site"
_INTEGER = "int32"


@dataclass(frozen=True)
class Switchable:
    """A function in which mutations are switchable: the number of each that is, and why each other is not.

    ``numbers`` and ``refused`` are by the positions of the selections. While the active site is none of its numbers,
    the function computes what the unmutated one does.
    """

    function: tirx.PrimFunc
    numbers: dict[int, int]
    refused: dict[int, str]


def switchable(
    function: tirx.PrimFunc,
    name: str,
    selections: Sequence[Selection],
    *,
    first: int = 1,
    counted: bool = False,
    values_only: bool = False,
) -> Switchable:
    """The function ``name`` with each mutation of a single site guarded by whether its number is the active one.

    Numbers are given from ``first`` in the order of the sites. Without ``counted`` the active site is asked for once
    in each call of the function, and only the loop nests with a site that may be active hold guards; with it, at
    every site, and the runtime counts how often each is reached. With ``values_only`` mutations are refused that
    may do more than calculate other values: what they find depends on how the rest of the function is compiled.
    """
    guards = _Guards(first, counted, values_only)
    unfit = _unfit(function) if values_only else None
    tallies: dict[Any, _GuardingTally] = {}
    for position, selection in enumerate(selections):
        reason = unfit or _obstacle(selection, name)
        if reason is not None:
            guards.refused[position] = reason
            continue
        key = (selection.mutation.operator, selection.mutation.parameters)
        tally = tallies.setdefault(key, _GuardingTally(selection, name, guards=guards))
        tally.wanted.setdefault(selection.mutation.sites.first, []).append(position)
    types = {kind for tally in tallies.values() for kind in tally.rule.node_types}
    guards.unguardable = unguardable_nodes(function, tuple(types)) if types else {}
    guarded = guards.with_blocks(rewrite_prim_func(function, list(tallies.values())))
    for position in set(range(len(selections))) - {*guards.numbers, *guards.refused}:
        guards.refused[position] = NO_SITE
    if not guards.numbers:
        return Switchable(function, {}, guards.refused)
    if not counted:
        guarded = with_prologue(by_nests(function, guarded, guards.active), [_asking(guards.active)])
    return Switchable(guarded, guards.numbers, guards.refused)


def _obstacle(selection: Selection, name: str) -> str | None:
    if not isinstance(selection.operator.rule, TirRule):
        return NOT_TIR
    if selection.operator.rule.calls_runtime:
        return CALLS_RUNTIME_ITSELF
    if not selection.mutation.matches(name):
        return NO_SITE
    sites = selection.mutation.sites
    return None if sites.last == sites.first else SEVERAL_SITES


def _unfit(function: tirx.PrimFunc) -> str | None:
    """Why values alone can make a function do what depends on how it is compiled."""
    if accesses_depend_on_data(function):
        return OTHER_ACCESSES
    return CONVERSION if converts_to_integers(function) else None


def _other_than_values(original: Any, mutated: Any) -> str | None:
    """Why what a mutation does may depend on how the rest of the function is compiled."""
    if not keeps_accesses(original, mutated):
        return OTHER_ACCESSES
    return CONVERSION if converts_to_integers(mutated) else None


def _asking(active: Var) -> Any:
    return tirx.Bind(active, tirx.call_extern(_INTEGER, _ACTIVE))


@dataclass
class _Guards:
    """What guards of one function share: who has which number, and what could not be guarded."""

    next: int
    counted: bool
    values_only: bool
    active: Var = field(default_factory=lambda: Var("active_site", prim.const(0, _INTEGER).ty))
    unguardable: dict[Any, str] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    blocks: dict[Any, list[tuple[int, Any]]] = field(default_factory=dict)

    def guard(self, position: int, original: Any, mutated: Any, otherwise: Any) -> Any:
        """``mutated`` if the mutation at this position is active, and ``otherwise`` if not; or that alone."""
        reason = self.unguardable.get(original.__chandle__()) or _difference(original, mutated)
        if reason is None and self.values_only:
            reason = _other_than_values(original, mutated)
        if reason is not None:
            self.refused[position] = reason
            return otherwise
        number = self.numbers[position] = self.next
        self.next += 1
        if isinstance(original, SBlock):
            self.blocks.setdefault(otherwise.__chandle__(), []).append((number, mutated))
            return otherwise
        if isinstance(original, tirx.Stmt):
            return tirx.IfThenElse(self._condition(number), redefined(mutated), otherwise)
        return tirx.if_then_else(self._condition(number), mutated, otherwise)

    def with_blocks(self, function: tirx.PrimFunc) -> tirx.PrimFunc:
        """The function with the guards of whole blocks, which stand around what binds their iterators."""

        def on_realize(realize: Any, mutator: Any) -> Any:
            guarded = mutator.default_mutate(realize)
            for number, mutated in self.blocks.get(realize.block.__chandle__(), ()):
                other = SBlockRealize(realize.iter_values, realize.predicate, mutated)
                guarded = tirx.IfThenElse(self._condition(number), redefined(other), guarded)
            return guarded

        return tvm_ffi.structural_mutate(function, [(SBlockRealize, on_realize)]) if self.blocks else function

    def _condition(self, number: int) -> Any:
        constant = prim.const(number, _INTEGER)
        if self.counted:
            return prim.NE(tirx.call_extern(_INTEGER, _REACH, constant), prim.const(0, _INTEGER))
        return prim.EQ(self.active, constant)


def _difference(original: Any, mutated: Any) -> str | None:
    """What keeps a node and its replacement from being two sides of one choice."""
    if isinstance(original, SBlock):
        return None if len(original.iter_vars) == len(mutated.iter_vars) else BLOCK
    if isinstance(original, tirx.Stmt):
        return None
    return None if original.ty == mutated.ty else OTHER_TYPE


@dataclass
class _GuardingTally(Tally):
    """A tally that guards its sites instead of replacing them; ``wanted`` are positions of mutations by site."""

    guards: _Guards = None  # type: ignore[assignment]
    wanted: dict[int, list[int]] = field(default_factory=dict)

    @property
    def rule(self) -> TirRule:
        """The operator's rule."""
        rule = self.selection.operator.rule
        assert isinstance(rule, TirRule)
        return rule

    def visit(self, original: Any, rebuilt: Any) -> Any:
        """``rebuilt``, guarded where this is a wanted site; the mutated side holds no other guards."""
        mutated = self.rule.rewrite(original, self.selection.parameters)
        if mutated is None:
            return rebuilt
        positions = self.wanted.get(self.found, ())
        self.found += 1
        for position in positions:
            rebuilt = self.guards.guard(position, original, mutated, rebuilt)
        return rebuilt

"""Which mutants are worth running: the inputs that kill each mutant, and mutants that others make needless.

A mutant *subsumes* another one if every input that kills the first kills the second as well. The *minimal* mutants are
those that no other mutant strictly subsumes: tests that kill them kill all. Source: P. Ammann, M. E. Delamaro,
J. Offutt, "Establishing theoretical minimal sets of mutants", ICST 2014.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tvm_mutate.oracle import Outcome, Verdict
from tvm_mutate.results import MutantRow, Results

KillSet = frozenset[int]


@dataclass(frozen=True)
class Killed:
    """A killed mutant of a model with the inputs that kill it: those with another label than golden."""

    model: str
    operator: str
    inputs: KillSet


@dataclass(frozen=True)
class Redundancy:
    """How much an operator adds. ``minimal`` counts the minimal kill sets that its mutants have, ``alone`` those that
    only this operator has. ``subsumed_by`` is the operator whose mutants subsume most of its own, ``subsumed`` the
    share of them.
    """

    operator: str
    killed: int
    minimal: int
    alone: int
    subsumed_by: str
    subsumed: float


def killed_mutants(results: Results) -> list[Killed]:
    """The killed mutants of classifiers; every input kills a mutant that crashes, hangs or raises."""
    golden = {(row.model, row.device): row.labels for row in results.baselines}
    found = []
    for row in results.mutants:
        labels = golden[row.model, row.device]
        if labels is not None and not row.is_compiler_fault and row.verdict is Verdict.KILLED:
            found.append(Killed(row.model, row.operator, _inputs(row, labels)))
    return [each for each in found if each.inputs]


def _inputs(row: MutantRow, golden: Sequence[int]) -> KillSet:
    if row.outcome is not Outcome.COMPLETED or row.labels is None:
        return frozenset(range(len(golden)))
    return frozenset(at for at, pair in enumerate(zip(row.labels, golden, strict=True)) if pair[0] != pair[1])


def minimal_sets(mutants: Iterable[Killed]) -> set[tuple[str, KillSet]]:
    """The kill sets of the minimal mutants, each with its model."""
    sets = {(each.model, each.inputs) for each in mutants}
    return {(model, own) for model, own in sets if not any(name == model and other < own for name, other in sets)}


def redundancies(mutants: Sequence[Killed]) -> list[Redundancy]:
    """What each operator adds, those first that add most."""
    minimal = minimal_sets(mutants)
    by_operator = _by_operator(mutants)
    holders = {each: [name for name, own in by_operator.items() if each in _sets(own)] for each in minimal}
    rows = []
    for name, own in by_operator.items():
        shares = {
            other: sum(_is_subsumed(each, theirs) for each in own) / len(own)
            for other, theirs in by_operator.items()
            if other != name
        }
        nearest = max(shares, key=lambda other: shares[other], default="")
        rows.append(
            Redundancy(
                name,
                len(own),
                sum(name in each for each in holders.values()),
                sum(each == [name] for each in holders.values()),
                nearest,
                shares.get(nearest, 0.0),
            )
        )
    return sorted(rows, key=lambda row: (-row.alone, -row.minimal, row.operator))


def chosen_operators(mutants: Sequence[Killed], sites: Mapping[str, int]) -> list[tuple[str, float, float]]:
    """Operators that have every minimal kill set, the cheapest first: a greedy cover weighted by ``sites``.

    Each with the share of the minimal kill sets, and of all sites, that it and those before it have.
    """
    left = minimal_sets(mutants)
    total, all_sites = len(left), sum(sites.values())
    by_operator = {name: _sets(own) & left for name, own in _by_operator(mutants).items()}
    chosen, used = [], 0
    while left:
        name = max(by_operator, key=lambda each: (len(by_operator[each] & left) / sites[each], each))
        left -= by_operator.pop(name)
        used += sites[name]
        chosen.append((name, (total - len(left)) / total, used / all_sites))
    return chosen


def _by_operator(mutants: Iterable[Killed]) -> dict[str, list[Killed]]:
    found: dict[str, list[Killed]] = {}
    for each in mutants:
        found.setdefault(each.operator, []).append(each)
    return found


def _sets(mutants: Iterable[Killed]) -> set[tuple[str, KillSet]]:
    return {(each.model, each.inputs) for each in mutants}


def _is_subsumed(mutant: Killed, others: Iterable[Killed]) -> bool:
    return any(other.model == mutant.model and other.inputs <= mutant.inputs for other in others)

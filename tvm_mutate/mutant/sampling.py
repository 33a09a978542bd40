"""Seeded samples of the mutants of a model: single sites, or several single sites together in one mutant."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from tvm_mutate.mutant.identifier import Mutant, Mutation
from tvm_mutate.mutant.operator import Slot

# The attempts to complete a mutant of several mutations before the next first mutation is taken.
_TRIES = 20

TakeEffect = Callable[[Slot, Sequence[Mutation]], bool]


def sample_sites(mutations: Sequence[Mutation], count: int, seed: int) -> list[Mutation]:
    """``count`` of the mutations, drawn without replacement by operator in turn, so that no operator dominates."""
    turns = _in_turn(mutations, random.Random(seed))
    return sorted(mutation for mutation, _ in zip(turns, range(count), strict=False))


def sample_together(
    by_slot: Mapping[Slot, Sequence[Mutation]], order: int, count: int, seed: int, take_effect: TakeEffect
) -> list[Mutant]:
    """At most ``count`` different mutants of ``order`` single sites each.

    All mutations of a mutant act in one slot, because a mutation in an earlier slot would rename and renumber the sites
    of later slots. The first mutation is drawn from each operator in turn, the others by operator and then by site. A
    mutant never has two mutations of one operator at one site, and ``take_effect(slot, mutations)`` holds for it.
    """
    if all(len(mutations) < order for mutations in by_slot.values()):
        return []
    generator = random.Random(seed)
    slots = {mutation: slot for slot, mutations in by_slot.items() for mutation in mutations}
    groups = {slot: list(by_operator(mutations).values()) for slot, mutations in by_slot.items()}
    found: dict[tuple[Mutation, ...], bool] = {}
    chosen: list[Mutant] = []
    grown = True
    while grown and len(chosen) < count:
        grown = False
        for first in _in_turn(list(slots), generator):
            if len(chosen) == count:
                break
            for _ in range(_TRIES):
                mutations = _completed(first, groups[slots[first]], order, generator)
                if mutations is None or mutations in found:
                    continue
                found[mutations] = take_effect(slots[first], mutations)
                if found[mutations]:
                    chosen.append(Mutant(mutations))
                    grown = True
                    break
    return sorted(chosen)


def by_operator(mutations: Sequence[Mutation]) -> dict[str, list[Mutation]]:
    """The mutations by the name of their operator."""
    groups: dict[str, list[Mutation]] = {}
    for mutation in mutations:
        groups.setdefault(mutation.operator, []).append(mutation)
    return groups


def _in_turn(mutations: Sequence[Mutation], generator: random.Random) -> Iterator[Mutation]:
    """All mutations: one of each operator in turn, in random order within an operator."""
    groups = list(by_operator(mutations).values())
    for group in groups:
        generator.shuffle(group)
    while any(groups):
        for group in groups:
            if group:
                yield group.pop()


def _completed(
    first: Mutation, groups: Sequence[Sequence[Mutation]], order: int, generator: random.Random
) -> tuple[Mutation, ...] | None:
    """A mutation with ``order - 1`` random others, sorted; None if two are of one operator at one site."""
    others = (generator.choice(generator.choice(groups)) for _ in range(order - 1))
    mutations = tuple(sorted([first, *others]))
    sites = {(mutation.operator, mutation.function, mutation.sites) for mutation in mutations}
    return mutations if len(sites) == order else None

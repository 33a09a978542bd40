"""Seeded samples of the mutants of a model: single sites, or several of them together in one mutant."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from tvm_mutate.mutant.identifier import Mutant, Mutation
from tvm_mutate.mutant.operator import Slot

# How often other companions are looked for before the next mutation has its turn.
_TRIES = 20

TakeEffect = Callable[[Slot, Sequence[Mutation]], bool]


def sample_sites(mutations: Sequence[Mutation], count: int, seed: int) -> list[Mutation]:
    """``count`` of the mutations, drawn without replacement by operator in turn, so that none crowds out the rest."""
    turns = _in_turn(mutations, random.Random(seed))
    return sorted(mutation for mutation, _ in zip(turns, range(count), strict=False))


def sample_together(
    by_slot: Mapping[Slot, Sequence[Mutation]], order: int, count: int, seed: int, take_effect: TakeEffect
) -> list[Mutant]:
    """``count`` different mutants of ``order`` single sites each, or as many as can be found.

    All mutations of a mutant act in one slot: an earlier one would rename and renumber what a later one finds.
    The first is drawn by operator in turn, the others by operator and then by site; never two of one operator at one
    site, and only those of which ``take_effect(slot, mutations)`` holds.
    """
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
                mutations = _with_companions(first, groups[slots[first]], order, generator)
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
    """All mutations, of each operator in random order, and one of each operator in turn."""
    groups = list(by_operator(mutations).values())
    for group in groups:
        generator.shuffle(group)
    while any(groups):
        for group in groups:
            if group:
                yield group.pop()


def _with_companions(
    first: Mutation, groups: Sequence[Sequence[Mutation]], order: int, generator: random.Random
) -> tuple[Mutation, ...] | None:
    """A mutation with ``order - 1`` others, sorted; None where two of them are of one operator at one site."""
    others = (generator.choice(generator.choice(groups)) for _ in range(order - 1))
    mutations = tuple(sorted([first, *others]))
    places = {(mutation.operator, mutation.function, mutation.sites) for mutation in mutations}
    return mutations if len(places) == order else None

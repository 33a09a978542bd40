"""Discrepancies between devices: mutants that one device labels otherwise than another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tvm_mutate.results import Results


@dataclass(frozen=True)
class Discrepancy:
    """A mutant that completed on two devices, and the share of inputs that they label differently.

    ``beyond_share`` is the part of it on which the unmutated builds agree. ``behaviour`` is ``defined``, ``undefined``
    (the mutant accesses memory outside its buffers) or ``unknown``, and None without a discrepancy.
    """

    id: str
    model: str
    category: str
    devices: tuple[str, str]
    share: float
    unmutated_share: float  # the same share for the unmutated model
    beyond_share: float
    behaviour: str | None
    beyond_floor: int | None  # inputs with a score that differs by more than the floor


def worst_discrepancies(results: Results, count: int) -> tuple[Discrepancy, ...]:
    """The discrepancies that go furthest beyond the unmutated builds', the worst first; only those that do at all."""
    return tuple(worst_first(each for each in discrepancies_of(results) if each.beyond_share > 0)[:count])


def worst_first(discrepancies: Iterable[Discrepancy]) -> list[Discrepancy]:
    """Those that go furthest beyond the unmutated builds' first; equal ones in the order of their names."""
    return sorted(discrepancies, key=lambda each: (-each.beyond_share, *_place(each)))


def largest_by_category(results: Results) -> dict[str, Discrepancy]:
    """For each category, by name, the discrepancy with the largest share; a share of 0 is one as well."""
    found: dict[str, Discrepancy] = {}
    for each in sorted(discrepancies_of(results), key=lambda each: (each.category, -each.share, *_place(each))):
        found.setdefault(each.category, each)
    return found


def count_differing_outcomes(results: Results) -> int:
    """How many mutants (of one model) ended otherwise on one device than on another, as with a crash on one only."""
    differing = [row for row in results.discrepancies if row.outcomes[0] != row.outcomes[1]]
    return len({(row.model, row.id) for row in differing})


def discrepancies_of(results: Results) -> Iterator[Discrepancy]:
    """Every mutant on every two devices on which it completed."""
    for row in results.discrepancies:
        if row.share is not None:
            first, second = row.devices
            names = ("share", "unmutated_share", "beyond_share", "behaviour", "beyond_floor")
            figures = [getattr(row, name) for name in names]
            yield Discrepancy(row.id, row.model, str(row.category), (first, second), *figures)


def _place(each: Discrepancy) -> tuple[str, str, tuple[str, str]]:
    return each.model, each.id, each.devices

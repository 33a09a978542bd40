"""Discrepancies between devices: mutants that one device labels otherwise than another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tvm_mutate.campaign.results import Results


@dataclass(frozen=True)
class Discrepancy:
    """A mutant that completed on two devices, and the share of inputs that they label differently."""

    id: str
    model: str
    category: str
    devices: tuple[str, str]
    share: float
    unmutated_share: float  # the same share for the unmutated model

    @property
    def excess(self) -> float:
        """The share that the mutation brought, over that of the unmutated model."""
        return self.share - self.unmutated_share


def worst_discrepancies(results: Results, count: int) -> tuple[Discrepancy, ...]:
    """The discrepancies with the largest excess, the worst first; only those that have any excess."""
    found = [each for each in _discrepancies(results) if each.excess > 0]
    return tuple(sorted(found, key=lambda each: (-each.excess, *_place(each)))[:count])


def largest_by_category(results: Results) -> dict[str, Discrepancy]:
    """For each category, by name, the discrepancy with the largest share; a share of 0 is one as well."""
    found: dict[str, Discrepancy] = {}
    for each in sorted(_discrepancies(results), key=lambda each: (each.category, -each.share, *_place(each))):
        found.setdefault(each.category, each)
    return found


def count_differing_outcomes(results: Results) -> int:
    """How many mutants (of one model) ended otherwise on one device than on another, as with a crash on one only."""
    differing = [row for row in results.discrepancies if row["outcomes"][0] != row["outcomes"][1]]
    return len({(row["model"], row["id"]) for row in differing})


def _discrepancies(results: Results) -> Iterator[Discrepancy]:
    for row in results.discrepancies:
        if row["share"] is not None:
            first, second = row["devices"]
            yield Discrepancy(
                row["id"], row["model"], row["category"], (first, second), row["share"], row["unmutated_share"]
            )


def _place(each: Discrepancy) -> tuple[str, str, tuple[str, str]]:
    return each.model, each.id, each.devices

"""Discrepancies between devices: mutants that two devices label differently, and their table by category."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

from tvm_mutate.mutant import Category
from tvm_mutate.report.csv_report import write_table
from tvm_mutate.results import DiscrepancyRow, Results, write_whole

CSV_FILE, JSON_FILE = "cross_devices.csv", "cross_devices.json"
ALL = "All categories"
BEHAVIOURS = ("defined", "undefined", "unknown")


def completed_on_both(results: Results) -> list[DiscrepancyRow]:
    """The rows of mutants that completed on both devices: ``share`` and ``beyond_share`` are not None."""
    return [row for row in results.discrepancies if row.share is not None]


def worst_first(discrepancies: Iterable[DiscrepancyRow]) -> list[DiscrepancyRow]:
    """The rows that go beyond the unmutated builds' discrepancies, by falling share, then by name."""
    beyond = (row for row in discrepancies if row.beyond_share)
    return sorted(beyond, key=lambda row: (-(row.beyond_share or 0.0), *_names(row)))


def largest_by_category(results: Results) -> dict[str, DiscrepancyRow]:
    """For each category the row with the largest share, which may be 0."""
    found: dict[str, DiscrepancyRow] = {}
    for row in sorted(completed_on_both(results), key=lambda row: (row.category, -(row.share or 0.0), *_names(row))):
        found.setdefault(str(row.category), row)
    return found


def count_differing_outcomes(results: Results) -> int:
    """The number of mutants (of one model) with another outcome on one device than on another, such as a crash."""
    differing = [row for row in results.discrepancies if row.outcomes[0] != row.outcomes[1]]
    return len({(row.model, row.id) for row in differing})


def _names(row: DiscrepancyRow) -> tuple[str, str, tuple[str, str]]:
    return row.model, row.id, row.devices


@dataclass(frozen=True)
class CrossDevice:
    """How the mutants of one category differ between two devices; a mutant of two models counts twice.

    ``mutants`` completed on both devices. ``largest`` is the largest share of inputs that the devices label differently
    for one mutant. The other shares leave out inputs on which the unmutated builds differ: ``defined``, ``undefined``
    and ``unknown`` count the mutants with such a share by behaviour, and ``largest_...`` is the largest share (None
    without a mutant). ``scores`` counts the mutants with a score that differs by more than the floor.
    """

    category: str
    first_device: str
    second_device: str
    mutants: int
    largest: float
    defined: int
    undefined: int
    unknown: int
    largest_defined: float | None
    largest_undefined: float | None
    largest_unknown: float | None
    scores: int

    def largest_of(self, behaviour: str) -> float | None:
        """The largest share of mutants with that behaviour."""
        share: float | None = getattr(self, f"largest_{behaviour}")
        return share


def cross_devices(results: Results) -> list[CrossDevice]:
    """The table by category, with all categories together last, and by pair of devices."""
    groups: defaultdict[tuple[str, tuple[str, str]], list[DiscrepancyRow]] = defaultdict(list)
    for row in completed_on_both(results):
        groups[str(row.category), row.devices].append(row)
    if len({category for category, _ in groups}) > 1:
        for (_, devices), found in list(groups.items()):
            groups[ALL, devices] += found
    categories = [*map(str, Category), ALL]
    names = [row.name for row in results.devices]

    def rank(group: tuple[str, tuple[str, str]]) -> tuple[int, ...]:
        return (categories.index(group[0]), *(names.index(name) if name in names else len(names) for name in group[1]))

    return [_cross_device(*group, groups[group]) for group in sorted(groups, key=rank)]


def write_cross_devices(table: Iterable[CrossDevice], folder: str | Path) -> tuple[Path, Path]:
    """Writes the table into the folder as CSV and JSON; returns the paths. Raises UsageError if that fails."""
    table = list(table)
    names = [field.name for field in fields(CrossDevice)]
    text = json.dumps([asdict(each) for each in table], indent=1, allow_nan=False) + "\n"
    return (
        write_table(Path(folder) / CSV_FILE, names, map(astuple, table)),
        write_whole(Path(folder) / JSON_FILE, [text]),
    )


def _cross_device(category: str, devices: tuple[str, str], found: list[DiscrepancyRow]) -> CrossDevice:
    shares = {
        behaviour: [row.beyond_share for row in found if row.beyond_share and row.behaviour == behaviour]
        for behaviour in BEHAVIOURS
    }
    figures: dict[str, Any] = {behaviour: len(each) for behaviour, each in shares.items()}
    figures |= {f"largest_{behaviour}": max(each, default=None) for behaviour, each in shares.items()}
    return CrossDevice(
        category,
        *devices,
        mutants=len(found),
        largest=max(row.share or 0.0 for row in found),
        scores=sum(bool(row.beyond_floor) for row in found),
        **figures,
    )

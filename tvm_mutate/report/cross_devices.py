"""The cross-device table: discrepancies by category and pair of devices, defined and undefined behaviour apart."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tvm_mutate.mutant import Category
from tvm_mutate.report.discrepancy import Discrepancy, discrepancies_of
from tvm_mutate.results import Results, write_whole

CSV_FILE, JSON_FILE = "cross_devices.csv", "cross_devices.json"
ALL = "All categories"
BEHAVIOURS = ("defined", "undefined", "unknown")


@dataclass(frozen=True)
class CrossDevice:
    """How the mutants of one category differ between two devices; a mutant of two models counts twice.

    ``mutants`` completed on both. ``largest`` is the largest share of inputs that any is labelled differently on. The
    rest is beyond what the unmutated builds differ by: how many mutants are, and the largest share, for mutants of
    defined and of undefined behaviour and for those of which it is not known; shares are None where there is none.
    ``scores`` is how many mutants have a score that differs by more than the floor.
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
        """The largest share of mutants of that behaviour."""
        share: float | None = getattr(self, f"largest_{behaviour}")
        return share


def cross_devices(results: Results) -> list[CrossDevice]:
    """The table in the order of the catalogue's categories, all of them together last, and of the devices."""
    by_place: defaultdict[tuple[str, tuple[str, str]], list[Discrepancy]] = defaultdict(list)
    for each in discrepancies_of(results):
        by_place[each.category, each.devices].append(each)
    if len({category for category, _ in by_place}) > 1:
        for (_, devices), found in list(by_place.items()):
            by_place[ALL, devices] += found
    categories = {name: rank for rank, name in enumerate([*map(str, Category), ALL])}
    names = {row.name: rank for rank, row in enumerate(results.devices)}

    def rank(place: tuple[str, tuple[str, str]]) -> tuple[int, ...]:
        return (categories[place[0]], *(names.get(name, len(names)) for name in place[1]))

    return [_row(category, pair, by_place[category, pair]) for category, pair in sorted(by_place, key=rank)]


def write_cross_devices(table: Iterable[CrossDevice], folder: str | Path) -> tuple[Path, Path]:
    """Writes the table into the folder, as CSV and as JSON; the paths. Raises UsageError where that cannot be."""
    rows = [asdict(each) for each in table]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [field.name for field in fields(CrossDevice)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    text = json.dumps(rows, indent=1, allow_nan=False) + "\n"
    return write_whole(Path(folder) / CSV_FILE, [buffer.getvalue()]), write_whole(Path(folder) / JSON_FILE, [text])


def _row(category: str, devices: tuple[str, str], found: list[Discrepancy]) -> CrossDevice:
    shares = {
        behaviour: [each.beyond_share for each in found if each.beyond_share > 0 and each.behaviour == behaviour]
        for behaviour in BEHAVIOURS
    }
    figures: dict[str, Any] = {behaviour: len(each) for behaviour, each in shares.items()}
    figures |= {f"largest_{behaviour}": max(each, default=None) for behaviour, each in shares.items()}
    return CrossDevice(
        category,
        *devices,
        mutants=len(found),
        largest=max(each.share for each in found),
        scores=sum(bool(each.beyond_floor) for each in found),
        **figures,
    )

"""Counts over the rows of a campaign: what became of its mutants, and where their time went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
SAME_CODE = "same generated code"


@dataclass(frozen=True)
class Times:
    """The seconds of a campaign's mutants phase: builds and runs of all mutants, and what the tool added itself."""

    mutants: int
    workers: int
    phase: float
    build: float
    run: float

    @property
    def own(self) -> float:
        """What was neither building nor running, over all workers."""
        return self.workers * self.phase - self.build - self.run

    @property
    def own_milliseconds(self) -> float:
        """The tool's own part of one mutant."""
        return 1e3 * self.own / max(self.mutants, 1)

    @property
    def above_floor(self) -> float:
        """How many times the time that building and running alone would have taken."""
        return self.workers * self.phase / max(self.build + self.run, 1e-9)


def times(rows: Sequence[Row], phase: float, workers: int = 1) -> Times:
    """Where the time of a mutants phase went."""
    return Times(
        len(rows),
        workers,
        phase,
        sum(row["build_seconds"] for row in rows),
        sum(row["run_seconds"] or 0.0 for row in rows),
    )


def census(rows: Iterable[Row]) -> dict[str, int]:
    """How many mutants ended in which way; a mutant can count in several lines."""
    rows = list(rows)
    tests = {
        "mutants": lambda row: True,
        "by content": lambda row: row["evaluation"] == "content",
        "proved equivalent, not by same code": lambda row: bool(row["proof"]) and not same_code(row),
        "same code": same_code,
        "duplicate": lambda row: row["duplicate_of"] is not None,
        "undefined": lambda row: bool(row["undefined"]),
        "not infected": not_infected,
        "masked in part": lambda row: bool(row["masked_by"]) and not masked(row),
        "masked": masked,
        "propagated": lambda row: row["rung"] == "propagated",
        "label changed": lambda row: row["rung"] == "label changed",
        "not completed": lambda row: row["outcome"] != "completed",
        "settled without a run": settled,
    }
    return {name: sum(map(test, rows)) for name, test in tests.items()}


def same_code(row: Row) -> bool:
    """Whether the mutant's generated code was that of the unmutated model."""
    return (row["proof"] or "").startswith(SAME_CODE)


def not_infected(row: Row) -> bool:
    """Whether a mutated kernel ran and gave the golden bits, for every input."""
    return row["rung"] == "reached" and row["evaluation"] == "content" and not row["masked_by"]


def masked(row: Row) -> bool:
    """Whether the fault infected a value and died on its way, for every input."""
    return row["rung"] == "infected"


def settled(row: Row) -> bool:
    """Whether the mutant was settled without running anything."""
    return row["kernel_runs"] == 0 or row["proof"] is not None or row["duplicate_of"] is not None


def maskers(rows: Iterable[Row]) -> Counter[str]:
    """At how many mutants each kernel masked a fault."""
    return Counter(kernel for row in rows for kernel in row["masked_by"] or ())

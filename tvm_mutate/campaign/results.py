"""The results of a campaign, as one value that every report is made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from tvm_mutate.mutant import Category

Row = dict[str, Any]
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Results:
    """All that a campaign found; :meth:`to_mapping` is the content of ``results.json``."""

    environment: Row
    models: tuple[Row, ...]
    devices: tuple[Row, ...]
    baselines: tuple[Row, ...]
    canaries: tuple[Row, ...]
    mutants: tuple[Row, ...]
    absent: tuple[Row, ...]
    discrepancies: tuple[Row, ...]
    agreements: tuple[Row, ...] = ()
    undefined: tuple[Row, ...] = ()

    def to_mapping(self) -> Row:
        """The results as what JSON can hold, with the version of their schema."""
        mapping: Row = {"schema_version": SCHEMA_VERSION}
        for field in fields(self):
            value = getattr(self, field.name)
            mapping[field.name] = list(value) if isinstance(value, tuple) else value
        return mapping

    def score(self) -> float | None:
        """The mutation score: killed ÷ (killed + survived); None where there is neither.

        Faults of the compiler are not in it.
        """
        verdicts = [row["verdict"] for row in self.mutants if not is_compiler_fault(row)]
        killed, survived = verdicts.count("killed"), verdicts.count("survived")
        return killed / (killed + survived) if killed + survived else None


def is_compiler_fault(row: Row) -> bool:
    """Whether a row is of a fault in the compiler itself: such mutants are counted apart, and are in no score."""
    return bool(row["category"] == str(Category.COMPILER_PASSES))


def mark_duplicates(rows: Iterable[Row]) -> list[Row]:
    """The rows with ``duplicate_of`` set: the first row of the model and device with the same code, if it is another.

    Which is first depends on the order of the rows alone, and not on which mutant a worker happened to evaluate first.
    Only single kernels tell code apart well enough: they are named by place in a rebuilt model.
    """
    first: dict[tuple[str, str, str], str] = {}
    marked = []
    for row in rows:
        of = None
        compared = row["evaluation"] == "content" and row["outcome"] == "completed" and row["verdict"] != "equivalent"
        if compared and row["code_digest"] is not None:
            earliest = first.setdefault((row["model"], row["device"], row["code_digest"]), row["id"])
            of = None if earliest == row["id"] else earliest
        marked.append({**row, "duplicate_of": of})
    return marked

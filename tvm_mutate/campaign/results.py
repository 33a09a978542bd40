"""The results of a campaign, as one value that every report is made of."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm_mutate.mutant import Category
from tvm_mutate.oracle import device_disagreement

Row = dict[str, Any]
SCHEMA_VERSION = 1


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

    def to_mapping(self) -> Row:
        """The results as what JSON can hold, with the version of their schema."""
        mapping: Row = {"schema_version": SCHEMA_VERSION}
        for name in ("environment", "models", "devices", "baselines", "canaries", "mutants", "absent", "discrepancies"):
            value = getattr(self, name)
            mapping[name] = list(value) if isinstance(value, tuple) else value
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


def _shared(labels: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    """The labels of those inputs that ran on all devices: a mutant may have been stopped earlier on some."""
    return [each[: min(map(len, labels))] for each in labels]


def find_discrepancies(
    rows: Iterable[Row], golden_labels: Mapping[tuple[str, str], Sequence[int]], devices: Sequence[str]
) -> list[Row]:
    """For each mutant and each two devices on which it completed: the share of inputs whose labels differ.

    Beside it stands the same share for the unmutated model. A mutant that did not complete on one of the two has
    the share None, and the outcomes are told.
    """
    by_mutant: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        by_mutant.setdefault((row["model"], row["id"]), {})[row["device"]] = row
    found: list[Row] = []
    for (model, mutant), on in by_mutant.items():
        for first, second in itertools.combinations([device for device in devices if device in on], 2):
            labels = [on[device]["labels"] for device in (first, second)]
            outcomes = [on[device]["outcome"] for device in (first, second)]
            share = device_disagreement(*_shared(labels)) if None not in labels else None
            unmutated = device_disagreement(golden_labels[model, first], golden_labels[model, second])
            found.append(
                {
                    "id": mutant,
                    "model": model,
                    "category": on[first]["category"],
                    "devices": [first, second],
                    "share": share,
                    "unmutated_share": unmutated,
                    "outcomes": outcomes,
                }
            )
    return found

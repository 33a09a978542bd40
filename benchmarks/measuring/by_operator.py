"""Counts over the rows of campaigns, operator by operator: what becomes of their mutants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tvm_mutate.oracle import wilson_interval

from .counts import same_code

Row = Mapping[str, Any]
NEARLY_ALWAYS = 0.9
LEAST_MUTANTS = 5


@dataclass(frozen=True)
class OperatorCounts:
    """What became of one operator's mutants; of those killed, some ``crashed`` or ``timed_out``."""

    operator: str
    mutants: int
    killed: int
    survived: int
    proved: int
    same_code: int
    crashed: int
    timed_out: int
    other: int

    @property
    def equivalent(self) -> int:
        """Mutants that were proved to be equivalent, by the analyzer or because their code is the same."""
        return self.proved + self.same_code

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the share killed, of the mutants that were killed or survived."""
        return wilson_interval(self.killed, self.killed + self.survived)

    @property
    def equivalent_interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the share that is equivalent, of all mutants."""
        return wilson_interval(self.equivalent, self.mutants)


def by_operator(rows: Iterable[Row]) -> list[OperatorCounts]:
    """The counts of every operator that has a row, by name."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["operator"], []).append(row)
    return [_counts(name, groups[name]) for name in sorted(groups)]


def nearly_always_equivalent(counts: Iterable[OperatorCounts]) -> list[OperatorCounts]:
    """Those whose mutants are equivalent in nine cases of ten; of operators with too few mutants nothing is said."""
    return [each for each in counts if each.equivalent >= NEARLY_ALWAYS * max(each.mutants, LEAST_MUTANTS)]


def always_killed(counts: Iterable[OperatorCounts]) -> list[OperatorCounts]:
    """Those all of whose mutants are killed; of operators with too few mutants nothing is said."""
    return [each for each in counts if each.killed == each.mutants >= LEAST_MUTANTS]


def _counts(operator: str, rows: list[Row]) -> OperatorCounts:
    verdicts = [row["verdict"] for row in rows]
    alike = sum(map(same_code, rows))
    killed, survived, equivalent = (verdicts.count(name) for name in ("killed", "survived", "equivalent"))
    outcomes = [row["outcome"] for row in rows]
    return OperatorCounts(
        operator,
        len(rows),
        killed,
        survived,
        equivalent - alike,
        alike,
        outcomes.count("crash"),
        outcomes.count("timeout"),
        len(rows) - killed - survived - equivalent,
    )

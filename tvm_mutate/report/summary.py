"""The summary of a campaign: how many mutants ended how, by model, category and device."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tvm_mutate.mutant import Category
from tvm_mutate.oracle import Outcome, Verdict
from tvm_mutate.report.discrepancies import count_differing_outcomes
from tvm_mutate.results import MutantRow, Results, Score

UNKNOWN_CATEGORY = "Unknown"
_CRASHED = (Outcome.CRASH, Outcome.TIMEOUT, Outcome.EXCEPTION)
_MODEL, _CATEGORY, _DEVICE = range(3)
# Model, category and device of a mutant, with its row, or None for a variant of an operator without a site.
_Entry = tuple[tuple[str, str, str], MutantRow | None]


@dataclass(frozen=True)
class Tally:
    """How the mutants of some rows ended; a mutant on two devices counts twice.

    The numbers overlap: ``mutants`` is the sum of the six verdicts, and the others say how the verdicts came about. A
    mutant that was not applied counts as not applicable, like a variant without a site.
    """

    mutants: int
    killed: int
    survived: int
    equivalent: int
    no_coverage: int
    without_verdict: int  # compile errors and lost devices
    accepted: int  # survivors that a user accepts; not among the survived
    completed: int
    degraded: int  # any label changed
    crashed: int  # crash, timeout or exception
    compile_errors: int
    not_applicable: int
    mean_dissimilarity: float | None  # over the completed mutants; None if there are none

    @property
    def score(self) -> Score:
        """The mutation score of these mutants."""
        return Score(self.killed, self.killed + self.survived)


@dataclass(frozen=True)
class Summary:
    """The tallies of a campaign, in the order of its models and devices and of the categories.

    The keys of ``groups`` are model, category and device; ``by_category_and_device`` is over all models. Faults of the
    compiler itself are not in ``by_device`` and ``total``, but in ``compiler_by_device`` and ``compiler_total``.
    ``differing_outcomes`` counts the mutants with another outcome on one device than on another.
    """

    groups: dict[tuple[str, ...], Tally]
    by_category_and_device: dict[tuple[str, ...], Tally]
    by_device: dict[tuple[str, ...], Tally]
    total: Tally
    compiler_by_device: dict[tuple[str, ...], Tally]
    compiler_total: Tally
    differing_outcomes: int


def summarize(results: Results, operator_categories: Mapping[str, str]) -> Summary:
    """The summary of results; ``operator_categories`` gives the category of each operator, for absent variants."""
    entries: list[_Entry] = [((row.model, str(row.category), row.device), row) for row in results.mutants]
    for absent in results.absent:
        operator = re.split("[{@]", absent.id, maxsplit=1)[0]
        category = operator_categories.get(operator, UNKNOWN_CATEGORY)
        entries.append(((absent.model, category, absent.device), None))
    compiler = [each for each in entries if each[0][_CATEGORY] == Category.COMPILER_PASSES]
    others = [each for each in entries if each[0][_CATEGORY] != Category.COMPILER_PASSES]
    orders = [
        [row.name for row in results.models],
        [str(category) for category in Category],
        [row.name for row in results.devices],
    ]
    return Summary(
        groups=_grouped(entries, (_MODEL, _CATEGORY, _DEVICE), orders),
        by_category_and_device=_grouped(entries, (_CATEGORY, _DEVICE), orders),
        by_device=_grouped(others, (_DEVICE,), orders),
        total=tally(row for _, row in others),
        compiler_by_device=_grouped(compiler, (_DEVICE,), orders),
        compiler_total=tally(row for _, row in compiler),
        differing_outcomes=count_differing_outcomes(results),
    )


def tally(rows: Iterable[MutantRow | None]) -> Tally:
    """The tally of the rows of mutants, with None for each variant without a mutant."""
    rows = list(rows)
    applied = [row for row in rows if row is not None and row.is_applied]
    verdicts = Counter(row.verdict for row in applied)
    outcomes = Counter(row.outcome for row in applied)
    shares = [row.dissimilarity for row in applied if row.dissimilarity is not None]
    return Tally(
        mutants=len(applied),
        killed=verdicts[Verdict.KILLED],
        survived=sum(row.is_survivor for row in applied),
        equivalent=verdicts[Verdict.EQUIVALENT],
        no_coverage=verdicts[Verdict.NO_COVERAGE],
        without_verdict=verdicts[None],
        accepted=sum(row.accepted is not None for row in applied),
        completed=outcomes[Outcome.COMPLETED],
        degraded=sum(bool(row.changed_labels) for row in applied),
        crashed=sum(outcomes[outcome] for outcome in _CRASHED),
        compile_errors=outcomes[Outcome.COMPILE_ERROR],
        not_applicable=len(rows) - len(applied),
        mean_dissimilarity=math.fsum(shares) / len(shares) if shares else None,
    )


def _grouped(
    entries: Iterable[_Entry], parts: Sequence[int], orders: Sequence[Sequence[str]]
) -> dict[tuple[str, ...], Tally]:
    """The tallies of the entries with equal ``parts`` of their keys; names outside ``orders`` come last."""
    rows: defaultdict[tuple[str, ...], list[MutantRow | None]] = defaultdict(list)
    for key, row in entries:
        rows[tuple(key[part] for part in parts)].append(row)
    chosen = [orders[part] for part in parts]

    def rank(names: tuple[str, ...]) -> list[tuple[int, str]]:
        return [
            (order.index(name) if name in order else len(order), name)
            for order, name in zip(chosen, names, strict=True)
        ]

    return {names: tally(rows[names]) for names in sorted(rows, key=rank)}

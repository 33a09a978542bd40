"""Tallies: how many mutants of some rows ended how, and the mutation score with its interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tvm_mutate.oracle import Outcome, Verdict
from tvm_mutate.results import MutantRow, Score

_CRASHED = (Outcome.CRASH, Outcome.TIMEOUT, Outcome.EXCEPTION)


@dataclass(frozen=True)
class Tally:
    """How the mutants of some rows ended; a mutant on two devices counts twice.

    The numbers overlap: the five that are verdicts add up to ``mutants``, the others tell how it came to them. A
    mutant that was not applied is no mutant: it counts, as do variants without a site, as not applicable.
    """

    mutants: int
    killed: int
    survived: int
    equivalent: int
    no_coverage: int
    without_verdict: int  # compile errors and lost devices
    completed: int
    degraded: int  # any label changed
    crashed: int  # crash, timeout or exception
    compile_errors: int
    not_applicable: int
    mean_dissimilarity: float | None  # over the completed ones; None where there is none

    @property
    def score(self) -> Score:
        """The mutation score of these mutants."""
        return Score(self.killed, self.killed + self.survived)


def tally(rows: Iterable[MutantRow], absent: int = 0) -> Tally:
    """The tally of rows of mutants, and of a number of variants that have no mutant."""
    rows = list(rows)
    applied = [row for row in rows if row.is_applied]
    verdicts = Counter(row.verdict for row in applied)
    outcomes = Counter(row.outcome for row in applied)
    shares = [row.dissimilarity for row in applied if row.dissimilarity is not None]
    return Tally(
        mutants=len(applied),
        killed=verdicts[Verdict.KILLED],
        survived=verdicts[Verdict.SURVIVED],
        equivalent=verdicts[Verdict.EQUIVALENT],
        no_coverage=verdicts[Verdict.NO_COVERAGE],
        without_verdict=verdicts[None],
        completed=outcomes[Outcome.COMPLETED],
        degraded=sum(bool(row.changed_labels) for row in applied),
        crashed=sum(outcomes[outcome] for outcome in _CRASHED),
        compile_errors=outcomes[Outcome.COMPILE_ERROR],
        not_applicable=absent + len(rows) - len(applied),
        mean_dissimilarity=math.fsum(shares) / len(shares) if shares else None,
    )

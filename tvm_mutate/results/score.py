"""The mutation score, with its confidence interval."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tvm_mutate.oracle import Verdict, wilson_interval


@dataclass(frozen=True)
class Score:
    """The mutation score: killed ÷ (killed + survived)."""

    killed: int
    decided: int  # killed + survived

    @property
    def value(self) -> float | None:
        """The score, in [0, 1]; None if no mutant was killed or survived."""
        return self.killed / self.decided if self.decided else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the score."""
        return wilson_interval(self.killed, self.decided)


def score_of(verdicts: Iterable[str | None]) -> Score:
    """The score of mutants with these verdicts; all verdicts but ``killed`` and ``survived`` are ignored."""
    verdicts = list(verdicts)
    killed = verdicts.count(Verdict.KILLED)
    return Score(killed, killed + verdicts.count(Verdict.SURVIVED))

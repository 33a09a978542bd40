"""Whether a mutant is slower or faster than the golden build."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

SIGNIFICANCE_LEVEL = 0.01
_FEWEST_SAMPLES = 3


@dataclass(frozen=True)
class LatencyTest:
    """What the latencies of a golden and a mutant program say, medians in seconds.

    ``ratio`` is the mutant's median over the golden one, None when the golden median is zero. ``p_value`` is
    None when either side has fewer than three samples; ``significant`` is then false.
    """

    golden_median: float
    mutant_median: float
    ratio: float | None
    p_value: float | None
    significant: bool


def latency_difference(golden_seconds: Sequence[float], mutant_seconds: Sequence[float]) -> LatencyTest:
    """The two-sided Mann-Whitney U test of two sets of latencies, significant at ``SIGNIFICANCE_LEVEL``.

    With fewer than five samples on a side no outcome can reach that level: of 4 + 4 samples the smallest
    exact p-value is 2/70, of 5 + 5 it is 2/252. Latencies that are all one value have the p-value 1.
    Raises ValueError for a side without samples, and for a sample that is not finite.

    Source: H. B. Mann and D. R. Whitney, "On a test of whether one of two random variables is stochastically
    larger than the other", Annals of Mathematical Statistics 18 (1947).
    """
    golden = np.asarray(golden_seconds, dtype=np.float64)
    mutant = np.asarray(mutant_seconds, dtype=np.float64)
    for side, seconds in (("golden", golden), ("mutant", mutant)):
        if seconds.ndim != 1 or not seconds.size or not np.isfinite(seconds).all():
            raise ValueError(f"the {side} latencies must be one or more finite numbers of seconds")
    golden_median, mutant_median = float(np.median(golden)), float(np.median(mutant))
    p_value = _p_value(golden, mutant) if min(golden.size, mutant.size) >= _FEWEST_SAMPLES else None
    return LatencyTest(
        golden_median=golden_median,
        mutant_median=mutant_median,
        ratio=mutant_median / golden_median if golden_median else None,
        p_value=p_value,
        significant=p_value is not None and p_value < SIGNIFICANCE_LEVEL,
    )


def _p_value(golden: np.ndarray, mutant: np.ndarray) -> float:
    if np.ptp(np.concatenate([golden, mutant])) == 0:
        return 1.0  # no spread at all: the normal approximation would divide by zero
    value = float(stats.mannwhitneyu(golden, mutant, alternative="two-sided").pvalue)
    assert not math.isnan(value)
    return value

"""Confidence intervals of shares, and the significance of a difference in latency."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

_SIGNIFICANCE_LEVEL = 0.01
_FEWEST_SAMPLES = 3


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a share such as a mutation score: ``0 <= low <= high <= 1``.

    A ``total`` of 0 gives ``(0.0, 1.0)``. Raises ValueError unless ``0 <= successes <= total`` and
    ``0 < confidence < 1``.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927).
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total} cannot be: 0 <= successes <= total must hold")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    if total == 0:
        return (0.0, 1.0)
    share, z = successes / total, NormalDist().inv_cdf((1 + confidence) / 2)
    centre = share + z * z / (2 * total)
    half = z * math.sqrt((share * (1 - share) + z * z / (4 * total)) / total)
    low, high = ((centre + side * half) / (1 + z * z / total) for side in (-1, 1))
    # The ends are exact where rounding would leave a tiny number.
    return (low if successes else 0.0, high if successes < total else 1.0)


@dataclass(frozen=True)
class LatencyTest:
    """The comparison of the latencies of a golden and a mutant program; medians in seconds.

    ``ratio`` is the mutant's median over the golden one, None if the golden median is zero. ``p_value`` is
    None if either side has fewer than three samples; ``significant`` is then false.
    """

    golden_median: float
    mutant_median: float
    ratio: float | None
    p_value: float | None
    significant: bool


def latency_difference(golden_seconds: Sequence[float], mutant_seconds: Sequence[float]) -> LatencyTest:
    """The two-sided Mann-Whitney U test of two sets of latencies; significant is a p-value below 0.01.

    That needs five samples on each side: the smallest exact p-value of 4 + 4 samples is 2/70, of 5 + 5 samples 2/252.
    If all latencies are equal the p-value is 1.
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
        significant=p_value is not None and p_value < _SIGNIFICANCE_LEVEL,
    )


def _p_value(golden: np.ndarray, mutant: np.ndarray) -> float:
    if np.ptp(np.concatenate([golden, mutant])) == 0:
        return 1.0  # no spread: the normal approximation would divide by zero
    from scipy import stats  # here, because the import takes a second and most campaigns measure no whole run

    value = float(stats.mannwhitneyu(golden, mutant, alternative="two-sided").pvalue)
    assert not math.isnan(value)
    return value

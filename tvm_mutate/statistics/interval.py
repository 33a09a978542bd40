"""Confidence intervals of shares, such as a mutation score."""

from __future__ import annotations

from scipy import stats


def wilson_interval(successes: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a share, as ``(low, high)`` with ``0 <= low <= high <= 1``.

    Of nothing nothing is known: a ``total`` of 0 gives ``(0.0, 1.0)``. Raises ValueError unless
    ``0 <= successes <= total`` and ``0 < confidence < 1``.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927).
    """
    if not 0 <= successes <= total:
        raise ValueError(f"{successes} successes of {total} cannot be: 0 <= successes <= total must hold")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    if total == 0:
        return (0.0, 1.0)
    interval = stats.binomtest(successes, total).proportion_ci(confidence_level=confidence, method="wilson")
    return (float(interval.low), float(interval.high))

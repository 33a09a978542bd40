"""Rankings of score vectors, and how much two of them agree.

A score vector has one score a class. Classes rank by falling score; NaN ranks below every number, minus
infinity included. Where a strict order is needed, equal scores (and several NaN) rank by class index. A
vector of nothing but NaN has no ranking: against a vector that has one, every agreement here is 0.0, and two
such vectors agree with 1.0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from tvm_mutate.statistics.scores import as_float64


def ranking(scores: ArrayLike) -> np.ndarray:
    """The classes from best to worst: int64 ``[classes]``, ties and NaN as the module says."""
    return np.argsort(-_vector(scores), kind="stable").astype(np.int64)


def top_k(scores: ArrayLike, k: int) -> frozenset[int]:
    """The ``k`` best classes (all of them when there are fewer); the empty set when every score is NaN."""
    vector = _vector(scores)
    return frozenset() if np.isnan(vector).all() else frozenset(ranking(vector)[:k].tolist())


def kendall_tau(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's tau-b of two score vectors ``[classes]``, in [-1, 1]; equal scores are ties, and so are NaN.

    Where tau-b is undefined, because a vector has the same score for every class, it is taken as 1.0 if that
    holds for both (no pair is ordered differently) and as 0.0 if only for one. Raises ValueError unless both
    are vectors of one length.

    Source: M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945).
    """
    first, second = _pair(a, b)
    if np.isnan(first).all() != np.isnan(second).all():
        return 0.0
    # Dense ranks instead of scores: numpy sorts NaN last and takes all NaN as one value.
    first_ranks = np.unique(-first, return_inverse=True)[1]
    second_ranks = np.unique(-second, return_inverse=True)[1]
    if np.array_equal(first_ranks, second_ranks):
        return 1.0
    if not first_ranks.any() or not second_ranks.any():
        return 0.0
    # Rounded, for scipy's two square roots make -0.9999999999999999 of -1, and 0.9 as little equal to 0.9.
    return round(float(stats.kendalltau(first_ranks, second_ranks).statistic), 12)


def rank_biased_overlap(a: ArrayLike, b: ArrayLike, p: float = 0.9) -> float:
    """The rank-biased overlap RBO_ext of the rankings of two score vectors ``[classes]``, in [0, 1].

    ``p`` in (0, 1) is the persistence: the smaller, the more the first ranks weigh. RBO is (1-p) times the
    sum over all depths d of p^(d-1) * A_d, where the agreement A_d is the share of the first d classes that
    both rankings have. Both rankings hold every class, so beyond the last one the agreement is 1, and the sum
    is one minus what the disagreements 1 - A_d take away. Raises ValueError unless both are vectors of one
    length and ``p`` is in (0, 1).

    Source: W. Webber, A. Moffat, J. Zobel, "A similarity measure for indefinite rankings", ACM Transactions
    on Information Systems 28(4), 2010: RBO_ext of eq. 32, which for rankings of one length is eq. 23. Written
    out here because the package ``rbo`` (0.1.3) requires numpy below 2.
    """
    if not 0 < p < 1:
        raise ValueError(f"the persistence p={p} is not between 0 and 1")
    first, second = _pair(a, b)
    if np.isnan(first).all() or np.isnan(second).all():
        return float(np.isnan(first).all() and np.isnan(second).all())
    # A class is in both of the first d from the depth on at which the later ranking comes to it.
    met_at = np.maximum(np.argsort(ranking(first)), np.argsort(ranking(second)))
    depths = np.arange(1, first.size + 1)
    agreement = np.cumsum(np.bincount(met_at, minlength=first.size)) / depths
    lost = (1 - p) * np.sum(p ** (depths - 1.0) * (1 - agreement))
    return max(0.0, 1.0 - float(lost))


def _vector(scores: ArrayLike) -> np.ndarray:
    vector = as_float64(scores)
    if vector.ndim != 1 or not vector.size:
        raise ValueError(f"scores must be a vector with one score a class, not of shape {vector.shape}")
    return vector


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = _vector(a), _vector(b)
    if first.shape != second.shape:
        raise ValueError(f"score vectors of {first.size} and {second.size} classes cannot be compared")
    return first, second

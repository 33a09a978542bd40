"""Rankings of score vectors, and how much two rankings agree.

A score vector has one score per class. Classes rank by falling score; NaN ranks below every number, minus
infinity included. Where a strict order is needed, equal scores (and several NaN) rank by class index. A
vector of nothing but NaN has no ranking: its agreement is 0.0 with a vector that has a ranking, and 1.0 with
another vector of nothing but NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tvm_mutate.oracle.outputs import as_float64

_PERSISTENCE = 0.9


def ranking(scores: ArrayLike) -> np.ndarray:
    """The classes from best to worst: int64 ``[classes]``, ties and NaN as the module docstring says."""
    return _rankings(_vector(scores)[np.newaxis])[0]


def top_k(scores: ArrayLike, k: int) -> frozenset[int]:
    """The ``k`` best classes (all classes if there are fewer); the empty set if every score is NaN."""
    vector = _vector(scores)
    return frozenset() if np.isnan(vector).all() else frozenset(ranking(vector)[:k].tolist())


@dataclass(frozen=True)
class Agreements:
    """How much the rankings of two score arrays agree on each input: arrays of shape ``[inputs]``.

    ``top_k`` is the share of the k best classes that both rankings have.
    """

    top_k: np.ndarray
    kendall_tau: np.ndarray
    rank_biased_overlap: np.ndarray


def agreements(a: ArrayLike, b: ArrayLike, k: int) -> Agreements:
    """The agreements of two score arrays ``[inputs, classes]``, with ``k`` at most the number of classes.

    Raises ValueError unless both are of one shape.
    """
    first, second = as_float64(a), as_float64(b)
    if first.shape != second.shape or first.ndim != 2 or not first.shape[1]:
        raise ValueError(f"scores of shapes {first.shape} and {second.shape} are not two [inputs, classes]")
    pair = _RankedPair(first, second)
    return Agreements(pair.top_k(k), pair.kendall_tau(), pair.rank_biased_overlap(_PERSISTENCE))


def kendall_tau(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's tau-b of two score vectors ``[classes]``, in [-1, 1]; equal scores are ties, and so are NaN.

    tau-b is undefined for a vector with the same score for every class: the value is then 1.0 if both vectors are
    such (no pair is ordered differently) and 0.0 if only one is. Raises ValueError unless both are vectors of one
    length.

    Source: M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945).
    """
    first, second = _pair(a, b)
    return float(_RankedPair(first[np.newaxis], second[np.newaxis]).kendall_tau()[0])


def rank_biased_overlap(a: ArrayLike, b: ArrayLike, p: float = _PERSISTENCE) -> float:
    """The rank-biased overlap RBO_ext of the rankings of two score vectors ``[classes]``, in [0, 1].

    ``p`` in (0, 1) is the persistence: the smaller ``p`` is, the more the first ranks weigh. RBO is (1-p) times the
    sum over all depths d of p^(d-1) * A_d, where the agreement A_d is the share of the first d classes that both
    rankings have. Both rankings hold every class, so A_d is 1 beyond the last class, and RBO is one minus the
    weighted sum of the disagreements 1 - A_d. Raises ValueError unless both are vectors of one
    length and ``p`` is in (0, 1).

    Source: W. Webber, A. Moffat, J. Zobel, "A similarity measure for indefinite rankings", ACM Transactions
    on Information Systems 28(4), 2010: RBO_ext of eq. 32, which for rankings of one length is eq. 23. Written
    out because the package ``rbo`` (0.1.3) requires numpy below 2.
    """
    if not 0 < p < 1:
        raise ValueError(f"the persistence p={p} is not between 0 and 1")
    first, second = _pair(a, b)
    return float(_RankedPair(first[np.newaxis], second[np.newaxis]).rank_biased_overlap(p)[0])


class _RankedPair:
    """Two score arrays ``[inputs, classes]`` with the rankings of their rows."""

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        self._rows = first, second
        self._rankings = _rankings(first), _rankings(second)
        unranked, other = (np.isnan(each).all(axis=1) for each in self._rows)
        self._either_unranked, self._both_unranked = unranked | other, unranked & other

    def top_k(self, k: int) -> np.ndarray:
        best, other = (each[:, :k] for each in self._rankings)
        return self._where_ranked((best[:, :, np.newaxis] == other[:, np.newaxis, :]).sum(axis=(1, 2)) / k)

    def kendall_tau(self) -> np.ndarray:
        ranks, others = (_dense_ranks(*each) for each in zip(self._rows, self._rankings, strict=True))
        same = (ranks == others).all(axis=1)
        taus = same.astype(np.float64)
        asked = ~same & ranks.any(axis=1) & others.any(axis=1)
        taus[asked] = [_tau_b(*pair) for pair in zip(ranks[asked], others[asked], strict=True)]
        return self._where_ranked(taus)

    def rank_biased_overlap(self, p: float) -> np.ndarray:
        inputs, classes = self._rows[0].shape
        # A class is among the first d of both rankings from the larger of its two ranks on.
        met_at = np.maximum(*map(_ranks, self._rankings)) + classes * np.arange(inputs)[:, np.newaxis]
        met = np.bincount(met_at.ravel(), minlength=met_at.size).reshape(met_at.shape)
        depths = np.arange(1, classes + 1)
        lost = (1 - p) * np.sum(p ** (depths - 1.0) * (1 - np.cumsum(met, axis=1) / depths), axis=1)
        return self._where_ranked(np.maximum(0.0, 1.0 - lost))

    def _where_ranked(self, agreements: np.ndarray) -> np.ndarray:
        """The agreements, with those of rows of nothing but NaN as the module docstring says."""
        return np.where(self._either_unranked, self._both_unranked, agreements)


def _rankings(rows: np.ndarray) -> np.ndarray:
    return np.argsort(-rows, axis=1, kind="stable").astype(np.int64)


def _ranks(rankings: np.ndarray) -> np.ndarray:
    """The rank of each class, from 0."""
    ranks = np.empty_like(rankings)
    np.put_along_axis(ranks, rankings, np.arange(rankings.shape[1])[np.newaxis], axis=1)
    return ranks


def _dense_ranks(rows: np.ndarray, rankings: np.ndarray) -> np.ndarray:
    """How many different scores are better than each score; all NaN are one score, the worst."""
    ordered = np.take_along_axis(rows, rankings, axis=1)
    before, after = ordered[:, :-1], ordered[:, 1:]
    steps = np.zeros(rows.shape, np.int64)
    steps[:, 1:] = np.cumsum((before != after) & ~(np.isnan(before) & np.isnan(after)), axis=1)
    ranks = np.empty_like(steps)
    np.put_along_axis(ranks, rankings, steps, axis=1)
    return ranks


def _tau_b(ranks: np.ndarray, others: np.ndarray) -> float:
    """Kendall's tau-b of two vectors of dense ranks, neither of them constant.

    Written out because the import of ``scipy.stats`` takes a second, in each worker of a campaign.
    """
    pairs = ranks.size * (ranks.size - 1) // 2
    ties, other_ties, both_ties = (
        int((counts * (counts - 1) // 2).sum())
        for counts in (np.bincount(each) for each in (ranks, others, _joint_ranks(ranks, others)))
    )
    discordant = _inversions(others[np.lexsort((others, ranks))])
    agreement = pairs - ties - other_ties + both_ties - 2 * discordant
    # Rounded, because two square roots turn -1 into -0.9999999999999999.
    return round(agreement / (pairs - ties) ** 0.5 / (pairs - other_ties) ** 0.5, 12)


def _joint_ranks(ranks: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.unique(ranks * ranks.size + others, return_inverse=True)[1]


def _inversions(ranks: np.ndarray) -> int:
    """The number of pairs in which a larger number stands before a smaller one, in O(n log n).

    Numbers are split by their highest bit, then each half by the next bit: at one bit the two numbers of a pair part.
    """
    found = 0
    for bit in reversed(range(int(ranks.max()).bit_length())):
        ranks = ranks[np.argsort(ranks >> (bit + 1), kind="stable")]
        high = (ranks >> bit) & 1
        before = np.cumsum(high) - high  # numbers with the bit before each position
        group = np.searchsorted(ranks >> (bit + 1), ranks >> (bit + 1))
        found += int((before - before[group])[high == 0].sum())
    return found


def _vector(scores: ArrayLike) -> np.ndarray:
    vector = as_float64(scores)
    if vector.ndim != 1 or not vector.size:
        raise ValueError(f"scores must be a vector with one score per class, not of shape {vector.shape}")
    return vector


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = _vector(a), _vector(b)
    if first.shape != second.shape:
        raise ValueError(f"score vectors of {first.size} and {second.size} classes cannot be compared")
    return first, second

"""Oracles on scores of classes: the best class, the best few, the order of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from tvm_mutate.oracle.oracle import Finding, Oracle
from tvm_mutate.oracle.outputs import top_labels, vectors_of
from tvm_mutate.oracle.ranking import kendall_tau, top_k
from tvm_mutate.samples import Sample


class ScoreOracle(Oracle, Protocol):
    """An oracle on scores: the last axis of the first output, and of others like it, has one score for each class."""

    def of_scores(self, golden: np.ndarray, mutant: np.ndarray) -> Finding:
        """What the oracle finds in one vector of scores."""
        ...

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Notices the sample if it notices any vector of scores; the number is the mean over the vectors."""
        found = [self.of_scores(*pair) for pair in zip(vectors_of(golden), vectors_of(mutant), strict=True)]
        return Finding(any(each.is_noticed for each in found), float(np.mean([each.number for each in found])))


@dataclass(frozen=True)
class TopOne(ScoreOracle):
    """Notices another top-1 label; scores of nothing but NaN have none. The number is the share of changed labels."""

    name: ClassVar[str] = "top-1"

    def of_scores(self, golden: np.ndarray, mutant: np.ndarray) -> Finding:
        """Whether the top-1 labels differ."""
        differs = bool(top_labels(golden[np.newaxis])[0] != top_labels(mutant[np.newaxis])[0])
        return Finding(differs, float(differs))


@dataclass(frozen=True)
class TopK(ScoreOracle):
    """Notices another set of the ``k`` best classes, in any order. The number is the share of best classes that left.

    The set of a model with ``k`` classes or fewer changes only if every score is NaN, which gives the empty set.
    Raises UsageError for ``k`` below 1.
    """

    name: ClassVar[str] = "top-k"

    k: int = 5

    def __post_init__(self) -> None:
        self._check("k", self.k >= 1, "1 or above")

    def of_scores(self, golden: np.ndarray, mutant: np.ndarray) -> Finding:
        """Whether the sets of best classes differ."""
        first, second = top_k(golden, self.k), top_k(mutant, self.k)
        return Finding(first != second, len(first - second) / max(len(first), 1))


@dataclass(frozen=True)
class RankCorrelation(ScoreOracle):
    """Notices scores whose Kendall's tau-b with the golden ones is below ``threshold``; the number is tau-b.

    Raises UsageError for a threshold outside [-1, 1].
    """

    name: ClassVar[str] = "rank-correlation"

    threshold: float = 0.9

    def __post_init__(self) -> None:
        self._check("threshold", -1 <= self.threshold <= 1, "between -1 and 1")

    def of_scores(self, golden: np.ndarray, mutant: np.ndarray) -> Finding:
        """Whether the correlation of the two orders is below the threshold."""
        correlation = kendall_tau(golden, mutant)
        return Finding(correlation < self.threshold, correlation)

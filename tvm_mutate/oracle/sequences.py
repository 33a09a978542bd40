"""Oracles on sequences: tokens that a language model writes, its distributions, and text read by CTC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Protocol

import numpy as np

from tvm_mutate.oracle.oracle import Finding, Oracle
from tvm_mutate.oracle.outputs import as_float64, like_first, top_labels, vectors_of
from tvm_mutate.samples import Sample, is_floating

_SUM_OF_PROBABILITIES = 1e-3  # how far from 1 the sum may be


@dataclass(frozen=True)
class GreedyTokens(Oracle):
    """Notices another token in a sequence, which is an exact match over the first ``steps`` tokens (0: over all).

    Tokens are the integers in the first output and in others like it (one of each call of a scenario, in order), or
    the best classes along the last axis if the output is of logits. The number is the first diverging step, from 0;
    the number of steps if none diverges.
    """

    name: ClassVar[str] = "greedy-tokens"

    steps: int = 0

    def __post_init__(self) -> None:
        self._check("steps", self.steps >= 0, "0 or above")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether any of the tokens differs."""
        first, second = (_tokens(each)[: self.steps or None] for each in (golden, mutant))
        diverging = np.flatnonzero(first != second)
        return Finding(bool(diverging.size), float(diverging[0] if diverging.size else first.size))


@dataclass(frozen=True)
class KullbackLeibler(Oracle):
    """Notices distributions of the next token whose divergence from the golden ones is above ``limit``, in nats.

    The number is the mean over the steps of KL(golden || mutant) = sum of p * log(p / q), infinite if the mutant rules
    out a token that golden allows. A step is a vector along the last axis of the first output and of others like it:
    probabilities if they are 0 or above and sum to 1, else logits, of which the softmax is taken.
    Source: S. Kullback, R. A. Leibler, "On information and sufficiency", Annals of Mathematical Statistics 22 (1951).
    """

    name: ClassVar[str] = "kl-divergence"

    limit: float = 0.01

    def __post_init__(self) -> None:
        self._check("limit", self.limit >= 0, "0 or above")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether the mean divergence is above the limit."""
        first, second = _log_probabilities(golden, mutant)
        with np.errstate(invalid="ignore", over="ignore"):
            parts = np.where(first > -math.inf, np.exp(first) * _gains(second, first), 0.0)
            divergence = -float(parts.sum(axis=1).mean())
        divergence = math.inf if math.isnan(divergence) else max(divergence, 0.0)
        return Finding(divergence > self.limit, divergence)


@dataclass(frozen=True)
class Perplexity(Oracle):
    """Notices a perplexity of the golden greedy tokens that changed by more than the share ``limit``.

    Perplexity is ``exp`` of the mean negative log-likelihood of the tokens, with steps and probabilities as in
    kl-divergence. The number is the mutant's perplexity divided by the golden one.
    Source: F. Jelinek et al., "Perplexity: a measure of the difficulty of speech recognition tasks", Journal of the
    Acoustical Society of America 62 (1977).
    """

    name: ClassVar[str] = "perplexity"

    limit: float = 0.01

    def __post_init__(self) -> None:
        self._check("limit", self.limit >= 0, "0 or above")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether the relative change of the perplexity is above the limit."""
        first, second = _log_probabilities(golden, mutant)
        tokens = top_labels(first)[:, np.newaxis]
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = float(np.exp(-np.mean(np.take_along_axis(_gains(second, first), tokens, axis=1))))
        ratio = math.inf if math.isnan(ratio) else ratio
        return Finding(abs(ratio - 1) > self.limit, ratio)


class _Transcription(Oracle, Protocol):
    """An oracle on text that a network with CTC gives in its first output, ``[..., steps, labels]``.

    Greedy decoding takes the best label of each step, merges repeated ones, and drops the label ``blank`` (-1: the last
    one). The error rate is the edit distance (insertions, deletions and substitutions) of golden and mutant, divided by
    the length of golden, or by 1 if that is empty.
    """

    blank: int
    limit: float

    def __post_init__(self) -> None:
        self._check("blank", self.blank >= -1, "the number of a label, or -1")
        self._check("limit", self.limit >= 0, "0 or above")

    def units(self, text: list[int]) -> Sequence[object]:
        """The units of a text of labels that are counted."""
        ...

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether the error rate over all texts of the output is above the limit."""
        pairs = zip(self._texts(golden[0]), self._texts(mutant[0]), strict=True)
        units = [(self.units(one), self.units(other)) for one, other in pairs]
        rate = sum(edit_distance(*each) for each in units) / max(sum(len(one) for one, _ in units), 1)
        return Finding(rate > self.limit, rate)

    def _texts(self, output: np.ndarray) -> list[list[int]]:
        classes = output.shape[-1]
        steps = next((size for size in reversed(output.shape[:-1]) if size != 1), 1)
        labels = top_labels(output.reshape(-1, classes)).reshape(-1, steps)
        blank = classes - 1 if self.blank == -1 else self.blank
        return [
            [label for at, label in enumerate(row) if label != blank and (not at or label != row[at - 1])]
            for row in labels.tolist()
        ]


@dataclass(frozen=True)
class CharacterErrorRate(_Transcription):
    """Notices text of CTC whose character error rate is above ``limit``; the number is the rate.

    The labels are the characters. ``blank`` is the label of CTC's blank, -1 the last one.
    Sources: A. Graves et al., "Connectionist temporal classification", ICML 2006, section 3.2 (best path decoding);
    V. I. Levenshtein, "Binary codes capable of correcting deletions, insertions and reversals", 1966.
    """

    name: ClassVar[str] = "character-error-rate"

    blank: int = 0
    limit: float = 0.0

    def units(self, text: list[int]) -> Sequence[object]:
        """The labels."""
        return text


@dataclass(frozen=True)
class WordErrorRate(_Transcription):
    """Notices text of CTC whose word error rate is above ``limit``; the number is the rate.

    The label ``space`` parts words; otherwise as character-error-rate.
    """

    name: ClassVar[str] = "word-error-rate"

    space: int = 1
    blank: int = 0
    limit: float = 0.0

    def units(self, text: list[int]) -> Sequence[object]:
        """The words, each a tuple of labels."""
        ends = [-1, *(at for at, label in enumerate(text) if label == self.space), len(text)]
        words = [tuple(text[start + 1 : end]) for start, end in pairwise(ends)]
        return [word for word in words if word]


def edit_distance(first: Sequence[object], second: Sequence[object]) -> int:
    """The fewest insertions, deletions and substitutions that make one sequence the other."""
    row = list(range(len(second) + 1))
    for at, one in enumerate(first, 1):
        before, row[0] = row[0], at
        for to, other in enumerate(second, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (one != other))
    return row[-1]


def _tokens(outputs: Sample) -> np.ndarray:
    if is_floating(outputs[0].dtype):
        return top_labels(vectors_of(outputs))
    return np.concatenate([each.reshape(-1) for each in like_first(outputs)])


def _log_probabilities(golden: Sample, mutant: Sample) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of the probabilities in the outputs; the golden outputs tell whether these are logits."""
    first, second = (as_float64(vectors_of(each)) for each in (golden, mutant))
    with np.errstate(all="ignore"):
        if (first >= 0).all() and (abs(first.sum(axis=1) - 1) <= _SUM_OF_PROBABILITIES).all():
            first, second = np.log(first), np.log(second)
        first, second = (each - np.logaddexp.reduce(each, axis=1, keepdims=True) for each in (first, second))
    return first, second


def _gains(logarithms: np.ndarray, golden: np.ndarray) -> np.ndarray:
    """The differences of logarithms, 0 for equal ones that are not finite."""
    same = (logarithms == golden) | (np.isnan(logarithms) & np.isnan(golden))
    return np.where(same, 0.0, logarithms - golden)

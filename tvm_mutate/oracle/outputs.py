"""Outputs of a program: their scores and labels if the program is a classifier, and differences in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tvm_mutate.samples import Samples, is_floating

NO_LABEL = -1


def scores_of(output: np.ndarray) -> np.ndarray:
    """The vectors of scores in an output: ``[vectors, classes]``, with the classes on the last axis that is not 1."""
    shape = list(output.shape) or [1]
    while len(shape) > 2 and shape[-1] == 1:
        shape.pop()
    return output.reshape(-1, shape[-1])


def like_first(outputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The first output and the others of its dtype and shape: the scores of several calls, or of several heads."""
    first = outputs[0]
    return [each for each in outputs if (each.dtype, each.shape) == (first.dtype, first.shape)]


def vectors_of(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """The vectors ``[vectors, classes]`` in the outputs of one sample: in the first and in the others like it."""
    return np.concatenate([scores_of(each) for each in like_first(outputs)])


def classifier_scores(outputs: Samples) -> np.ndarray | None:
    """The scores ``[inputs, classes]`` of a classifier: its first output is ``[batch, classes]`` in floating point.

    ``classes`` is above 1; further dimensions of 1 are ignored. With a batch above 1, or with more outputs like the
    first (a language model has one for each token), a sample has several inputs. None for other outputs.
    """
    first = outputs.arrays[0]
    if not is_floating(first.dtype) or first.ndim < 2 or any(each != 1 for each in first.shape[3:]):
        return None
    classes = first.shape[2] if first.ndim > 2 else first.shape[1]
    return np.stack(like_first(outputs.arrays), axis=1).reshape(-1, classes) if classes > 1 else None


def changed_labels(golden: Samples, mutant: Samples) -> tuple[int, int] | None:
    """The number of inputs with another top-1 label, and of all inputs; None if the program is no classifier."""
    first, second = classifier_scores(golden), classifier_scores(mutant)
    if first is None or second is None or first.shape != second.shape:
        return None
    return int((top_labels(first) != top_labels(second)).sum()), len(first)


def as_float64(scores: ArrayLike) -> np.ndarray:
    """The scores as a float64 array of the same shape; NaN stays NaN.

    numpy's warning about a signalling NaN, which a fault can produce, is suppressed.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(scores).astype(np.float64)


def absolute_differences(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """The differences element by element, float64: infinite if only one of the two is NaN or infinite."""
    a, b = as_float64(first), as_float64(second)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.nan_to_num(np.where(same, 0.0, np.abs(a - b)), nan=np.inf, posinf=np.inf)


def largest_differences(first: Samples, second: Samples) -> np.ndarray:
    """The largest absolute difference of the outputs of each sample: float64 ``[samples]``.

    Infinite if only one of two numbers is NaN or infinite, and if shapes differ.
    """
    largest = np.zeros(len(first))
    for one, other in zip(first.arrays, second.arrays, strict=True):
        if one.shape != other.shape:
            return np.full(len(first), np.inf)
        difference = absolute_differences(one, other).reshape(len(first), -1)
        largest = np.maximum(largest, difference.max(axis=1, initial=0.0))
    return largest


def top_labels(outputs: ArrayLike) -> np.ndarray:
    """The top-1 label of every input: int64 ``[inputs]`` for outputs ``[inputs, classes]``.

    The highest score wins; among equal scores the lowest class wins. NaN ranks below every number. An output of
    nothing but NaN has the label ``NO_LABEL``, so it always counts as a changed label. Raises ValueError for
    outputs of another shape, or without classes.
    """
    scores = as_float64(outputs)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ValueError(f"outputs must be [inputs, classes], not {list(scores.shape)}")
    best = np.fmax.reduce(scores, axis=1, keepdims=True)  # NaN only if every score is NaN
    return np.where(np.isnan(best[:, 0]), NO_LABEL, np.argmax(scores == best, axis=1)).astype(np.int64)


def device_disagreement(labels_a: Sequence[int], labels_b: Sequence[int]) -> float:
    """The share of inputs, in [0, 1], that one mutant labels differently on two devices.

    Raises ValueError unless both are vectors of one length that is not zero.
    """
    first, second = np.asarray(labels_a), np.asarray(labels_b)
    if first.shape != second.shape or first.ndim != 1 or not first.size:
        raise ValueError(
            f"labels of shapes {list(first.shape)} and {list(second.shape)} cannot be compared; "
            "both devices must have run the same inputs"
        )
    return float(np.mean(first != second))

"""Labels: the class that a model gives an input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tvm_mutate.statistics import as_float64

NO_LABEL = -1


def top_labels(outputs: ArrayLike) -> np.ndarray:
    """The top-1 label of every input: int64 ``[inputs]`` for outputs ``[inputs, classes]``.

    The highest score wins, among equals the lowest class. NaN is below every number; where all scores are NaN
    the label is ``NO_LABEL``, so that NaN is never taken for a label that stayed as it was. Raises ValueError
    for outputs of another shape, or without classes.
    """
    scores = as_float64(outputs)
    if scores.ndim != 2 or not scores.shape[1]:
        raise ValueError(f"outputs must be [inputs, classes], not {list(scores.shape)}")
    best = np.fmax.reduce(scores, axis=1, keepdims=True)  # NaN only where there is nothing else
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

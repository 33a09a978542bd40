"""Outputs of a model as arrays ``[inputs, classes]``: their bits, their scores as float64, their labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

NO_LABEL = -1


def output_pair(golden: ArrayLike, mutant: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Golden and mutant outputs as arrays ``[inputs, classes]``.

    Raises ValueError unless both have one shape, of two dimensions and not empty, and one dtype.
    """
    first, second = np.asarray(golden), np.asarray(mutant)
    if first.shape != second.shape or first.dtype != second.dtype:
        raise ValueError(
            f"the golden outputs are {first.dtype}{list(first.shape)} and the mutant's "
            f"{second.dtype}{list(second.shape)}; they must have one shape and dtype"
        )
    if first.ndim != 2 or not first.size:
        raise ValueError(f"outputs must be [inputs, classes] and not empty, not {list(first.shape)}")
    return first, second


def same_bits(golden: np.ndarray, mutant: np.ndarray) -> np.ndarray:
    """Which inputs have bitwise the golden output: bool ``[inputs]``.

    Bit patterns are compared, not values: NaN equals NaN of the same bits, and -0.0 differs from 0.0.
    """
    first = np.ascontiguousarray(golden).view(np.uint8)
    second = np.ascontiguousarray(mutant).view(np.uint8)
    equal: np.ndarray = (first == second).all(axis=1)
    return equal


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

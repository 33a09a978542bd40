"""Outputs of a model as arrays ``[inputs, classes]``: their form, and their bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


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

    Bit patterns are compared, not values: NaN is the same as NaN of the same bits, and -0.0 is not 0.0.
    """
    first = np.ascontiguousarray(golden).view(np.uint8)
    second = np.ascontiguousarray(mutant).view(np.uint8)
    equal: np.ndarray = (first == second).all(axis=1)
    return equal

"""Scores of any dtype as float64, which everything here calculates in."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def as_float64(scores: ArrayLike) -> np.ndarray:
    """The scores as a float64 array of their shape, NaN staying NaN.

    A fault can produce a signalling NaN, of which numpy warns when it is converted; that is no news here.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(scores).astype(np.float64)


def absolute_differences(first: ArrayLike, second: ArrayLike) -> np.ndarray:
    """The differences element by element, float64: infinite where one is NaN or infinite and the other is not."""
    a, b = as_float64(first), as_float64(second)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.nan_to_num(np.where(same, 0.0, np.abs(a - b)), nan=np.inf, posinf=np.inf)

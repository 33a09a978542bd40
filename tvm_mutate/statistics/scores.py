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

"""The oracle of numerical tests: values within a tolerance are the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tvm_mutate.errors import UsageError
from tvm_mutate.oracle.protocol import Oracle
from tvm_mutate.statistics import as_float64


@dataclass(frozen=True)
class Tolerance(Oracle):
    """Notices a score further from the golden one than ``atol + rtol * |golden|``.

    NaN is the same as NaN and as nothing else, an infinity the same as itself. Raises UsageError for a
    tolerance that is negative or not finite.
    """

    name: ClassVar[str] = "tolerance"

    rtol: float = 1e-5
    atol: float = 1e-6

    def __post_init__(self) -> None:
        for parameter, value in (("rtol", self.rtol), ("atol", self.atol)):
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{self.name}: {parameter}={value!r} must be a finite number, 0 or above")

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether any score of the output ``[classes]`` is out of tolerance, calculated in float64."""
        golden, mutant = as_float64(golden_row), as_float64(mutant_row)
        with np.errstate(all="ignore"):
            near = np.isclose(mutant, golden, rtol=self.rtol, atol=self.atol, equal_nan=True)
        return not near.all()

"""The oracle of a shortlist: the k best classes, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tvm_mutate.errors import UsageError
from tvm_mutate.oracle.protocol import Oracle
from tvm_mutate.statistics import top_k


@dataclass(frozen=True)
class TopK(Oracle):
    """Notices another set of the ``k`` best classes.

    A model with ``k`` classes or fewer always has the same set; only an output of nothing but NaN, which has
    the empty set, is noticed there. Raises UsageError for ``k`` below 1.
    """

    name: ClassVar[str] = "top-k"

    k: int = 5

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"{self.name}: k={self.k!r} must be 1 or above")

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether the outputs ``[classes]`` have different sets of best classes."""
        return top_k(golden_row, self.k) != top_k(mutant_row, self.k)

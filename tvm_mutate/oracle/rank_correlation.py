"""The oracle of a ranking: the order of all classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tvm_mutate.errors import UsageError
from tvm_mutate.oracle.protocol import Oracle
from tvm_mutate.statistics import kendall_tau


@dataclass(frozen=True)
class RankCorrelation(Oracle):
    """Notices an output whose Kendall's tau-b with the golden one is below ``threshold``.

    Raises UsageError for a threshold outside [-1, 1].
    """

    name: ClassVar[str] = "rank-correlation"

    threshold: float = 0.9

    def __post_init__(self) -> None:
        if not -1 <= self.threshold <= 1:
            raise UsageError(f"{self.name}: threshold={self.threshold!r} must be between -1 and 1")

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether the outputs ``[classes]`` order the classes too differently."""
        return kendall_tau(golden_row, mutant_row) < self.threshold

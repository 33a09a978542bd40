"""The oracle of a classifier's user: the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tvm_mutate.oracle.labels import top_labels
from tvm_mutate.oracle.protocol import Oracle


@dataclass(frozen=True)
class TopOne(Oracle):
    """Notices another top-1 label; an output of nothing but NaN has none."""

    name: ClassVar[str] = "top-1"

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether the outputs ``[classes]`` have different top-1 labels."""
        return bool(top_labels(golden_row[np.newaxis])[0] != top_labels(mutant_row[np.newaxis])[0])

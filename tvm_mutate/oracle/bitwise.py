"""The strictest oracle: any other bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tvm_mutate.oracle.outputs import same_bits
from tvm_mutate.oracle.protocol import Oracle


@dataclass(frozen=True)
class Bitwise(Oracle):
    """Notices an output of which any bit is not the golden one; NaN of the same bits is the same."""

    name: ClassVar[str] = "bitwise"

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether any bit of the output ``[classes]`` differs."""
        return not same_bits(golden_row[np.newaxis], mutant_row[np.newaxis])[0]

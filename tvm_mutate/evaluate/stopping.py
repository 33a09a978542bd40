"""When a mutant has been run on enough inputs, for those who do not want all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tvm_mutate.oracle import Oracle, compare, top_labels, wilson_interval


@dataclass(frozen=True)
class StopRule:
    """Stops at the first input that the oracle notices, or when the dissimilarity is known well enough.

    ``golden`` are the scores of the unmutated build, shape [inputs, classes]. ``killed_by`` is the oracle, or None;
    ``precision`` the widest that the 95 % Wilson interval of the share of changed labels may be, or None.
    """

    golden: np.ndarray
    killed_by: Oracle | None = None
    precision: float | None = None

    def is_settled(self, rows: Sequence[np.ndarray]) -> bool:
        """Whether the inputs after these need not be run; ``rows`` are the mutant's scores so far."""
        count = len(rows)
        if self.killed_by is not None:
            last = compare(self.golden[count - 1 : count], rows[-1][np.newaxis], None, [self.killed_by])
            if len(last.noticed_by(self.killed_by)):
                return True
        if self.precision is None:
            return False
        changed = int((top_labels(np.stack(rows)) != top_labels(self.golden[:count])).sum())
        low, high = wilson_interval(changed, count)
        return high - low <= self.precision

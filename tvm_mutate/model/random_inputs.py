"""Random inputs: floats, integers and booleans of each input's type, within ranges."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model.scenario import Parameter
from tvm_mutate.samples import is_floating

DEFAULT_COUNT = 8
RANDOM = "random"
_LARGEST_INTEGER = 9


@dataclass(frozen=True)
class RandomInputs:
    """``count`` random samples; ``ranges`` has the lowest and highest value by name of an input or of a dtype.

    Without a range floats are standard normal, integers 0 to 9 or, for indices into a table, to its last row, and
    booleans both.
    """

    count: int = DEFAULT_COUNT
    seed: int = 0
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{RANDOM} ({self.count} samples, seed {self.seed})"

    def check(self, inputs: tuple[Parameter, ...]) -> None:
        """Raises UsageError for a range of neither an input nor a dtype of the inputs."""
        known = [name for each in inputs for name in (each.name, each.dtype)]
        for name, (low, high) in self.ranges.items():
            if name not in known:
                raise UsageError(f"--range names {name!r}, which is no input and no dtype{suggestion(name, known)}")
            if not low <= high:
                raise UsageError(f"--range {name}={low:g},{high:g} is empty; write the lower number first")
            dtypes = [np.dtype(each.dtype or "float32") for each in inputs if name in (each.name, each.dtype)]
            if any(not _holds(dtype, limit) for dtype in dtypes for limit in (low, high)):
                raise UsageError(f"--range {name}={low:g},{high:g} does not fit into {dtypes[0].name}")

    def array(self, parameter: Parameter, shape: tuple[int, ...], rows: int | None) -> np.ndarray:
        """Random values ``[count, *shape]`` of an input, the same for the same seed and name.

        ``rows`` is the number of rows of the table that the input indexes, or None.
        """
        generator = np.random.default_rng([self.seed, zlib.crc32(parameter.name.encode())])
        size = (self.count, *shape)
        dtype = np.dtype(parameter.dtype or "float32")
        limits = self.ranges.get(parameter.name, self.ranges.get(parameter.dtype))
        values: np.ndarray
        if is_floating(dtype):
            values = generator.standard_normal(size) if limits is None else generator.uniform(*limits, size)
        elif dtype.kind == "b":
            values = generator.integers(0, 2, size)
        else:
            low, high = limits or (0, _LARGEST_INTEGER if rows is None else rows - 1)
            values = generator.integers(int(low), int(high), size, endpoint=True)
        return values.astype(np.float32).astype(dtype) if is_floating(dtype) else values.astype(dtype)


def _holds(dtype: np.dtype, limit: float) -> bool:
    """Whether a dtype has numbers as large as the limit of a range."""
    if dtype.kind == "b":
        return True
    if is_floating(dtype):
        with np.errstate(over="ignore"):
            return bool(np.isfinite(np.float64(np.float32(limit).astype(dtype))))
    return np.iinfo(dtype).min <= limit <= np.iinfo(dtype).max

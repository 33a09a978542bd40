"""Oracles on numbers, of whatever meaning: bits, tolerances, units in the last place, norms and angles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from tvm_mutate.oracle.oracle import Finding, Oracle
from tvm_mutate.oracle.outputs import as_float64, vectors_of
from tvm_mutate.samples import Sample, as_bytes, is_floating


@dataclass(frozen=True)
class Bitwise(Oracle):
    """Notices an output of which any bit differs from golden; NaN equals NaN of the same bits.

    The number is the share of bytes that differ.
    """

    name: ClassVar[str] = "bitwise"

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether any bit differs."""
        differs = np.concatenate([as_bytes(one) != as_bytes(other) for one, other in zip(golden, mutant, strict=True)])
        return Finding(bool(differs.any()), float(differs.mean()) if differs.size else 0.0)


@dataclass(frozen=True)
class Tolerance(Oracle):
    """Notices a number further from the golden one than ``atol + rtol * |golden|``, calculated in float64.

    NaN equals only NaN, an infinity only itself; integers and booleans must be equal. The measured number is the share
    of elements out of tolerance. Without ``rtol`` each dtype has its own: 1e-5, but at least twice the machine epsilon
    (float16: 0.00195, bfloat16: 0.0156, float8_e4m3fn: 0.25). Without ``atol`` it is a tenth of that. Raises UsageError
    for a tolerance that is negative or not finite.

    ``tolerance{rtol=1e-5,atol=1e-8}`` is numpy.allclose, ``tolerance{rtol=1e-7,atol=0}`` numpy.testing.assert_allclose,
    ``tolerance{rtol=1e-7,atol=1e-7}`` tvm.testing.assert_allclose.
    """

    name: ClassVar[str] = "tolerance"

    rtol: float | None = None
    atol: float | None = None

    def __post_init__(self) -> None:
        for parameter, value in (("rtol", self.rtol), ("atol", self.atol)):
            self._check(
                parameter, value is None or (math.isfinite(value) and value >= 0), "a finite number, 0 or above"
            )

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether any element of any output is out of tolerance."""
        beyond = np.concatenate([self._beyond(*pair).reshape(-1) for pair in zip(golden, mutant, strict=True)])
        return Finding(bool(beyond.any()), float(beyond.mean()) if beyond.size else 0.0)

    def _beyond(self, golden: np.ndarray, mutant: np.ndarray) -> np.ndarray:
        if not is_floating(golden.dtype):
            return golden != mutant
        usual = max(1e-5, 2 * float(_format(golden.dtype).eps))
        rtol, atol = usual if self.rtol is None else self.rtol, usual / 10 if self.atol is None else self.atol
        with np.errstate(all="ignore"):
            first, second = as_float64(golden), as_float64(mutant)
            return ~np.isclose(second, first, rtol=rtol, atol=atol, equal_nan=True)


@dataclass(frozen=True)
class UnitsInTheLastPlace(Oracle):
    """Notices a number more than ``limit`` representable numbers of its dtype away from the golden one.

    The number is the largest such distance over all elements of all outputs: 0.0 equals -0.0, NaN is infinitely far
    from all but NaN, and integers count by their difference.
    Source: D. Goldberg, "What every computer scientist should know about floating-point arithmetic", ACM Computing
    Surveys 23(1), 1991; counted on bit patterns, as googletest's FloatingPoint::AlmostEquals (4 there, too).
    """

    name: ClassVar[str] = "ulps"

    limit: int = 4

    def __post_init__(self) -> None:
        self._check("limit", self.limit >= 0, "0 or above")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether any element is further away than the limit."""
        pairs = [pair for pair in zip(golden, mutant, strict=True) if pair[0].size]
        distance = max((float(_ulps(*pair).max()) for pair in pairs), default=0.0)
        return Finding(distance > self.limit, distance)


@dataclass(frozen=True)
class RelativeError(Oracle):
    """Notices an output whose relative error is above ``limit``; the number is the largest of all outputs.

    The relative error is ``||mutant - golden|| / ||golden||`` in the Euclidean norm, in float64; it is infinite if a
    number is not finite or if only the golden output is all zero.
    Source: N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, 2002, section 1.2.
    """

    name: ClassVar[str] = "relative-error"

    limit: float = 1e-3

    def __post_init__(self) -> None:
        self._check("limit", self.limit >= 0, "0 or above")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether the error of any output is above the limit."""
        error = max(_relative_error(*pair) for pair in zip(golden, mutant, strict=True))
        return Finding(not error <= self.limit, error)


@dataclass(frozen=True)
class Cosine(Oracle):
    """Notices an embedding whose cosine similarity with the golden one is below ``threshold``.

    An embedding is a vector along the last axis (that is not 1) of the first output and of others like it. The number
    is the smallest similarity, in [-1, 1], and 0 for a zero vector or one that is not finite beside another vector.
    Source: G. Salton, M. J. McGill, "Introduction to Modern Information Retrieval", 1983.
    """

    name: ClassVar[str] = "cosine"

    threshold: float = 0.99

    def __post_init__(self) -> None:
        self._check("threshold", -1 <= self.threshold <= 1, "between -1 and 1")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether the similarity of any embedding is below the threshold."""
        first, second = (as_float64(vectors_of(each)) for each in (golden, mutant))
        same = ((first == second) | (np.isnan(first) & np.isnan(second))).all(axis=1)
        with np.errstate(all="ignore"):
            similarity = (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
        similarity = np.clip(np.nan_to_num(similarity, nan=0.0, posinf=0.0, neginf=0.0), -1.0, 1.0)
        smallest = float(np.where(same, 1.0, similarity).min())
        return Finding(smallest < self.threshold, smallest)


def _format(dtype: np.dtype) -> Any:
    """The bits and the machine epsilon of a floating-point dtype."""
    return ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]


def _ulps(golden: np.ndarray, mutant: np.ndarray) -> np.ndarray:
    """The distances of two arrays in representable numbers, float64."""
    if not is_floating(golden.dtype):
        pair = [each if each.dtype == np.uint64 else each.astype(np.int64) for each in (golden, mutant)]
        largest, smallest = (extreme(*pair).astype(np.uint64) for extreme in (np.maximum, np.minimum))
        return (largest - smallest).astype(np.float64)  # modulo 2**64, so without overflow
    sign = np.uint64(1 << (_format(golden.dtype).bits - 1))
    bits, other_bits = (each.view(f"u{each.dtype.itemsize}").astype(np.uint64) for each in (golden, mutant))
    size, other_size = bits & (sign - 1), other_bits & (sign - 1)
    same_sign = (bits & sign) == (other_bits & sign)
    apart = np.maximum(size, other_size) - np.minimum(size, other_size)
    distance = np.where(same_sign, apart, size + other_size).astype(np.float64)
    unknown, other_unknown = (np.isnan(as_float64(each)) for each in (golden, mutant))
    return np.where(unknown | other_unknown, np.where(unknown & other_unknown, 0.0, np.inf), distance)


def _relative_error(golden: np.ndarray, mutant: np.ndarray) -> float:
    first, second = as_float64(golden), as_float64(mutant)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    if same.all():
        return 0.0
    with np.errstate(all="ignore"):
        # Equal infinities and NaN count for nothing.
        error = np.linalg.norm((second - first)[~same]) / np.linalg.norm(first[np.isfinite(first)])
    return float(error) if np.isfinite(error) else math.inf

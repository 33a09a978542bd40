"""The oracles by name, their text form, and what an oracle finds in the outputs of a mutant.

A new oracle is a class and its row in ``ORACLES``.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.oracle.outputs import as_float64, like_first, scores_of, top_labels
from tvm_mutate.oracle.ranking import kendall_tau, top_k
from tvm_mutate.samples import Sample, Samples, as_bytes, is_floating


class Finding(NamedTuple):
    """What an oracle finds in the outputs of one sample: whether it notices the mutant, and the number it measured."""

    is_noticed: bool
    number: float


class Oracle(Protocol):
    """A rule for what counts as noticed, on one sample at a time.

    An oracle is a frozen dataclass that derives from this class. Its fields are its parameters: int or float, all
    with a default. ``str`` writes the parameters out: ``tolerance{rtol=1e-05,atol=1e-06}``. ``__post_init__`` raises
    UsageError for a parameter out of range.
    """

    name: ClassVar[str]

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """What the oracle finds in the mutant's outputs of one sample, which have the golden shapes and dtypes.

        Outputs with the golden bits are never noticed; callers may skip the call.
        """
        ...

    def __str__(self) -> str:
        fields: tuple[Any, ...] = dataclasses.fields(self)  # type: ignore[arg-type]
        parameters = ",".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields)
        return f"{self.name}{{{parameters}}}" if parameters else self.name


class ScoreOracle(Oracle, Protocol):
    """An oracle on scores: the last axis of the first output, and of others like it, has one score for each class."""

    def of_scores(self, golden: np.ndarray, mutant: np.ndarray) -> Finding:
        """What the oracle finds in one vector of scores."""
        ...

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Notices the sample if it notices any vector of scores; the number is the mean over the vectors."""
        pairs = zip(*(np.concatenate([*map(scores_of, like_first(each))]) for each in (golden, mutant)), strict=True)
        found = [self.of_scores(*pair) for pair in pairs]
        return Finding(any(each.is_noticed for each in found), float(np.mean([each.number for each in found])))


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
    of elements out of tolerance. Raises UsageError for a tolerance that is negative or not finite.
    """

    name: ClassVar[str] = "tolerance"

    rtol: float = 1e-5
    atol: float = 1e-6

    def __post_init__(self) -> None:
        for parameter, value in (("rtol", self.rtol), ("atol", self.atol)):
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{self.name}: {parameter}={value!r} must be a finite number, 0 or above")

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """Whether any element of any output is out of tolerance."""
        beyond = np.concatenate([self._beyond(*pair).reshape(-1) for pair in zip(golden, mutant, strict=True)])
        return Finding(bool(beyond.any()), float(beyond.mean()) if beyond.size else 0.0)

    def _beyond(self, golden: np.ndarray, mutant: np.ndarray) -> np.ndarray:
        if not is_floating(golden.dtype):
            return golden != mutant
        with np.errstate(all="ignore"):
            first, second = as_float64(golden), as_float64(mutant)
            return ~np.isclose(second, first, rtol=self.rtol, atol=self.atol, equal_nan=True)


@dataclass(frozen=True)
class TopOne(ScoreOracle):
    """Notices another top-1 label; scores of nothing but NaN have none. The number is the share of changed labels."""

    name: ClassVar[str] = "top-1"

    def of_scores(self, golden: np.ndarray, mutant: np.ndarray) -> Finding:
        """Whether the top-1 labels differ."""
        differs = bool(top_labels(golden[np.newaxis])[0] != top_labels(mutant[np.newaxis])[0])
        return Finding(differs, float(differs))


@dataclass(frozen=True)
class TopK(ScoreOracle):
    """Notices another set of the ``k`` best classes, in any order. The number is the share of best classes that left.

    The set of a model with ``k`` classes or fewer changes only if every score is NaN, which gives the empty set.
    Raises UsageError for ``k`` below 1.
    """

    name: ClassVar[str] = "top-k"

    k: int = 5

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"{self.name}: k={self.k!r} must be 1 or above")

    def of_scores(self, golden: np.ndarray, mutant: np.ndarray) -> Finding:
        """Whether the sets of best classes differ."""
        first, second = top_k(golden, self.k), top_k(mutant, self.k)
        return Finding(first != second, len(first - second) / max(len(first), 1))


@dataclass(frozen=True)
class RankCorrelation(ScoreOracle):
    """Notices scores whose Kendall's tau-b with the golden ones is below ``threshold``; the number is tau-b.

    Raises UsageError for a threshold outside [-1, 1].
    """

    name: ClassVar[str] = "rank-correlation"

    threshold: float = 0.9

    def __post_init__(self) -> None:
        if not -1 <= self.threshold <= 1:
            raise UsageError(f"{self.name}: threshold={self.threshold!r} must be between -1 and 1")

    def of_scores(self, golden: np.ndarray, mutant: np.ndarray) -> Finding:
        """Whether the correlation of the two orders is below the threshold."""
        correlation = kendall_tau(golden, mutant)
        return Finding(correlation < self.threshold, correlation)


ORACLES: Mapping[str, type[Oracle]] = MappingProxyType(
    {kind.name: kind for kind in (Bitwise, Tolerance, TopOne, TopK, RankCorrelation)}
)

_TEXT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(?:\{(?P<parameters>[^{}]*)\})?")


def parse_oracle(text: str, known: Mapping[str, type[Oracle]] = ORACLES) -> Oracle:
    """The oracle written as ``name`` or ``name{parameter=value,...}``; a parameter left out has its default.

    ``parse_oracle(str(oracle)) == oracle``. Raises UsageError for text of another form, an unknown oracle or
    parameter, a parameter given twice, and a value out of range.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not an oracle; write for example tolerance{{rtol=1e-3,atol=1e-5}}")
    name = match["name"]
    if name not in known:
        raise UsageError(f"there is no oracle {name!r}{suggestion(name, known)}")
    kind: Any = known[name]
    defaults: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(kind)}
    values: dict[str, int | float] = {}
    for part in filter(None, (match["parameters"] or "").split(",")):
        parameter, _, value = (piece.strip() for piece in part.partition("="))
        if parameter not in defaults:
            hint = suggestion(parameter, defaults) if defaults else "; it has none"
            raise UsageError(f"{name} has no parameter {parameter!r}{hint}")
        if parameter in values:
            raise UsageError(f"{name}: {parameter} is given twice")
        number = type(defaults[parameter])
        try:
            values[parameter] = number(value)
        except ValueError:
            raise UsageError(f"{name}: {parameter}={value!r} is not of type {number.__name__}") from None
    oracle: Oracle = kind(**values)
    return oracle


def is_noticed(oracle: Oracle, golden: Sample, mutant: Sample) -> bool:
    """Whether the oracle notices the outputs of one sample; outputs of other shapes or dtypes are always noticed."""
    finding = _finding(oracle, golden, mutant)
    return finding is not None and finding.is_noticed


def examine_all(oracle: Oracle, golden: Samples, mutant: Samples) -> Examined:
    """What the oracle finds in all samples; the samples of the mutant may be fewer."""
    findings = {
        position: finding
        for position in range(len(mutant))
        if (finding := _finding(oracle, golden[position], mutant[position])) is not None
    }
    numbers = [each.number for each in findings.values() if math.isfinite(each.number)]
    noticed = tuple(position for position, each in findings.items() if each.is_noticed)
    return Examined(str(oracle), noticed, float(np.mean(numbers)) if numbers else None)


class Examined(NamedTuple):
    """What an oracle found: its text, the positions of the samples that it noticed, and the mean of the numbers.

    The mean is over the samples with other bits than golden; None if there are none.
    """

    oracle: str
    noticed: tuple[int, ...]
    number: float | None


def _finding(oracle: Oracle, golden: Sample, mutant: Sample) -> Finding | None:
    """What the oracle finds in one sample; None if the outputs have the golden bits."""
    pairs = list(zip(golden, mutant, strict=True))
    if any(one.shape != other.shape or one.dtype != other.dtype for one, other in pairs):
        return Finding(True, math.nan)
    if all(np.array_equal(as_bytes(one), as_bytes(other)) for one, other in pairs):
        return None
    return oracle.examine(golden, mutant)

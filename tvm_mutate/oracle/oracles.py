"""The oracles by name, their text form, and the inputs that an oracle notices.

A new oracle is a class here and its row in ``ORACLES``.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.oracle.outputs import as_float64, output_pair, same_bits, top_labels
from tvm_mutate.oracle.ranking import kendall_tau, top_k


class Oracle(Protocol):
    """A rule for what counts as noticed, on one input at a time.

    An oracle is a frozen dataclass that derives from this class. Its fields are its parameters: int or float, all
    with a default. ``str`` writes the parameters out: ``tolerance{rtol=1e-05,atol=1e-06}``. ``__post_init__`` raises
    UsageError for a parameter out of range.
    """

    name: ClassVar[str]

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether the oracle notices the mutant's output ``[classes]`` for one input.

        An output with the golden bits is never noticed; callers may skip the call.
        """
        ...

    def __str__(self) -> str:
        fields: tuple[Any, ...] = dataclasses.fields(self)  # type: ignore[arg-type]
        parameters = ",".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields)
        return f"{self.name}{{{parameters}}}" if parameters else self.name


@dataclass(frozen=True)
class Bitwise(Oracle):
    """Notices an output of which any bit differs from golden; NaN equals NaN of the same bits."""

    name: ClassVar[str] = "bitwise"

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether any bit differs."""
        return not same_bits(golden_row[np.newaxis], mutant_row[np.newaxis])[0]


@dataclass(frozen=True)
class Tolerance(Oracle):
    """Notices a score further from the golden one than ``atol + rtol * |golden|``, calculated in float64.

    NaN equals only NaN, an infinity only itself. Raises UsageError for a tolerance that is negative or not finite.
    """

    name: ClassVar[str] = "tolerance"

    rtol: float = 1e-5
    atol: float = 1e-6

    def __post_init__(self) -> None:
        for parameter, value in (("rtol", self.rtol), ("atol", self.atol)):
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{self.name}: {parameter}={value!r} must be a finite number, 0 or above")

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether any score is out of tolerance."""
        golden, mutant = as_float64(golden_row), as_float64(mutant_row)
        with np.errstate(all="ignore"):
            near = np.isclose(mutant, golden, rtol=self.rtol, atol=self.atol, equal_nan=True)
        return not near.all()


@dataclass(frozen=True)
class TopOne(Oracle):
    """Notices another top-1 label; an output of nothing but NaN has none."""

    name: ClassVar[str] = "top-1"

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether the top-1 labels differ."""
        return bool(top_labels(golden_row[np.newaxis])[0] != top_labels(mutant_row[np.newaxis])[0])


@dataclass(frozen=True)
class TopK(Oracle):
    """Notices another set of the ``k`` best classes, in any order.

    The set of a model with ``k`` classes or fewer changes only if every score is NaN, which gives the empty set.
    Raises UsageError for ``k`` below 1.
    """

    name: ClassVar[str] = "top-k"

    k: int = 5

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageError(f"{self.name}: k={self.k!r} must be 1 or above")

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether the sets of best classes differ."""
        return top_k(golden_row, self.k) != top_k(mutant_row, self.k)


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
        """Whether the correlation of the two orders is below the threshold."""
        return kendall_tau(golden_row, mutant_row) < self.threshold


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


def is_noticed(oracle: Oracle, golden: ArrayLike, mutant: ArrayLike) -> tuple[int, ...]:
    """The indices of the inputs on which the oracle notices the mutant, in rising order.

    Both outputs are ``[inputs, classes]``. Raises ValueError unless they have one shape and dtype.
    """
    golden_rows, mutant_rows = output_pair(golden, mutant)
    differing = np.flatnonzero(~same_bits(golden_rows, mutant_rows))
    return tuple(int(i) for i in differing if oracle.noticed(golden_rows[i], mutant_rows[i]))

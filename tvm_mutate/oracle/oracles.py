"""The oracles by name, their text form, and what an oracle finds in the outputs of a mutant.

A new oracle is a class and its row in ``ORACLES``.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.oracle.classes import RankCorrelation, TopK, TopOne
from tvm_mutate.oracle.oracle import Finding, Oracle
from tvm_mutate.oracle.outputs import classifier_scores, like_first
from tvm_mutate.oracle.regions import LabelMap, MatchedBoxes, MeanIntersectionOverUnion
from tvm_mutate.oracle.sequences import CharacterErrorRate, GreedyTokens, KullbackLeibler, Perplexity, WordErrorRate
from tvm_mutate.oracle.user_function import UserFunction
from tvm_mutate.oracle.values import Bitwise, Cosine, RelativeError, Tolerance, UnitsInTheLastPlace
from tvm_mutate.python_file import function_reference
from tvm_mutate.samples import Sample, Samples, as_bytes

ORACLES: Mapping[str, type[Oracle]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Bitwise,
            Tolerance,
            UnitsInTheLastPlace,
            RelativeError,
            Cosine,
            TopOne,
            TopK,
            RankCorrelation,
            LabelMap,
            MeanIntersectionOverUnion,
            MatchedBoxes,
            CharacterErrorRate,
            WordErrorRate,
            GreedyTokens,
            KullbackLeibler,
            Perplexity,
        )
    }
)

_TEXT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(?:\{(?P<parameters>[^{}]*)\})?")


def parse_oracle(text: str, known: Mapping[str, type[Oracle]] = ORACLES) -> Oracle:
    """The oracle written as ``name`` or ``name{parameter=value,...}``; a parameter left out has its default.

    ``FILE.py:FUNCTION`` is a function of the user.
    ``parse_oracle(str(oracle)) == oracle``. Raises UsageError for text of another form, an unknown oracle or
    parameter, a parameter given twice, and a value out of range.
    """
    if function_reference(text.strip())[0].suffix == ".py":
        return UserFunction(text.strip())
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
        default = defaults[parameter]
        number = float if default is None else type(default)
        try:
            values[parameter] = number(value)
        except ValueError:
            raise UsageError(f"{name}: {parameter}={value!r} is not of type {number.__name__}") from None
    oracle: Oracle = kind(**values)
    return oracle


def usual_oracle(golden: Samples) -> Oracle:
    """The oracle for outputs of this kind: top-1 for scores, greedy-tokens for integer tokens, else a tolerance."""
    if classifier_scores(golden) is not None:
        return TopOne()
    only_tokens = {each.dtype.name for each in golden.arrays} <= {"int32", "int64"}
    return GreedyTokens() if only_tokens and like_first(golden.arrays) == list(golden.arrays) else Tolerance()


def check_oracles(oracles: Iterable[Oracle], golden: Samples) -> None:
    """Raises UsageError for an oracle that cannot judge the golden outputs, or notices them against themselves."""
    for oracle in oracles:
        for position in range(len(golden)):
            if oracle.examine(golden[position], golden[position]).is_noticed:
                raise UsageError(
                    f"{oracle}: notices the unmutated outputs against themselves (of sample {position}); "
                    "an oracle must notice nothing there"
                )


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

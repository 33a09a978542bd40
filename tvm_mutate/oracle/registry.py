"""The oracles that exist, by name, and their text form.

A new oracle is a file with its class, and its row here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.oracle.bitwise import Bitwise
from tvm_mutate.oracle.protocol import Oracle
from tvm_mutate.oracle.rank_correlation import RankCorrelation
from tvm_mutate.oracle.tolerance import Tolerance
from tvm_mutate.oracle.top_k import TopK
from tvm_mutate.oracle.top_one import TopOne

_KINDS: tuple[type[Oracle], ...] = (
    Bitwise,
    Tolerance,
    TopOne,
    TopK,
    RankCorrelation,
)

ORACLES: Mapping[str, type[Oracle]] = MappingProxyType({kind.name: kind for kind in _KINDS})

_TEXT = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)(?:\{(?P<parameters>[^{}]*)\})?")


def parse_oracle(text: str, known: Mapping[str, type[Oracle]] = ORACLES) -> Oracle:
    """The oracle written as ``name`` or ``name{parameter=value,...}``; what is left out has its default.

    ``parse_oracle(str(oracle)) == oracle``. Raises UsageError for text of another form, an unknown oracle or
    parameter, one given twice, and a value that the oracle cannot have.
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

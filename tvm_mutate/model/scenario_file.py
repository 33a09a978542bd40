"""Scenarios of users: a TOML file, or the names of functions in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from tvm_mutate.errors import UsageError
from tvm_mutate.model.preprocessing import read_document
from tvm_mutate.scenario import Call, Scenario

_MOST_REPEATS = 10_000
_EXAMPLE = "a table [[calls]] with function, and if needed outputs, feeds and repeat, for each call; and returns"


def read_scenario(path: Path) -> Scenario:
    """The scenario in a TOML or JSON file: ``[[calls]]`` with the fields of ``Call``, and ``returns``.

    Raises UsageError, naming the file and the field, for a file that cannot be used.
    """
    content: Any = read_document(path)
    try:
        scenario: Scenario = msgspec.convert(content, Scenario)
        _check_keys(content)
    except msgspec.ValidationError as error:
        raise UsageError(f"--scenario {path}: {error}; write {_EXAMPLE}") from None
    if not scenario.calls or any(not 1 <= call.repeat <= _MOST_REPEATS for call in scenario.calls):
        what = f"has no calls, or repeats one less than once or more than {_MOST_REPEATS} times"
        raise UsageError(f"--scenario {path}: {what}; write {_EXAMPLE}")
    return scenario


def _check_keys(content: dict[str, Any]) -> None:
    for table, kind in ((content, Scenario), *((call, Call) for call in content.get("calls", ()))):
        if unknown := set(table) - {each.name for each in fields(kind)}:
            raise msgspec.ValidationError(f"has the unknown key {sorted(unknown)[0]!r}")
    if "calls" not in content:
        raise msgspec.ValidationError("has no calls")


def scenario_of(functions: Sequence[str], file: Path | None) -> Scenario | None:
    """The scenario in ``file``, or calls of ``functions`` in order; None without both. Raises UsageError for both."""
    if file is not None:
        if functions:
            raise UsageError("--scenario has the calls, and --function names others; leave one of them out")
        return read_scenario(file)
    return Scenario(tuple(map(Call, functions))) if functions else None

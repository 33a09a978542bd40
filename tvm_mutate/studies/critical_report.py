"""The report of a search for critical magnitudes: ``critical.json``, and a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from tvm_mutate.results import environment, write_whole
from tvm_mutate.studies.critical import CriticalRow

FILE_NAME = "critical.json"
SCHEMA_VERSION = 1


def write_critical(rows: Sequence[CriticalRow], plan: Mapping[str, Any], folder: Path) -> Path:
    """Writes ``critical.json`` into the folder: the plan, the environment, and a row a site; returns its path.

    An older file stays as it was where the new one cannot be written whole; raises UsageError then.
    """
    content = msgspec.to_builtins(
        {"schema_version": SCHEMA_VERSION, "environment": environment(), "plan": plan, "sites": rows}
    )
    return write_whole(folder / FILE_NAME, [json.dumps(content, indent=1, sort_keys=True, allow_nan=False), "\n"])


def critical_table(rows: Sequence[CriticalRow]) -> Table:
    """A table with a line a site: the value at which its fault was noticed, the one that survived, evaluations."""
    several = len({(row.model, row.device) for row in rows}) > 1
    table = Table(title="Critical magnitudes")
    for name in ("site", "kernel", *(["device"] if several else [])):
        table.add_column(name, overflow="fold")
    table.columns[1].min_width = max((len(row.function) for row in rows), default=0)
    for name in ("critical", "survived", "evaluations"):
        table.add_column(name, justify="right", overflow="fold")
    for row in rows:
        operator_and_site = row.id.replace(f"@{row.function}#", "#")
        told = (row.device,) if several else ()
        cells = (operator_and_site, row.function, *told, _critical(row), _value(row.survived))
        table.add_row(*map(escape, cells), str(row.evaluations))
    return table


def _critical(row: CriticalRow) -> str:
    if row.verdict is None:
        return f"not known: {row.reason}"
    if row.critical is None:
        return f"none up to {_value(row.largest)}"
    value = f"{row.parameter}={_value(row.critical)}"
    if any(each.size == row.critical_size and each.undefined for each in row.tried):
        value += " (undefined)"
    return value if row.monotone else f"{value}, but not {_value(row.largest)}: not monotone"


def _value(value: float | int | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.6g}"

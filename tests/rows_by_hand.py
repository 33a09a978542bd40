"""Rows of mutants written by hand, for tests that care about a few of their fields only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from tvm_mutate.results import MutantRow

_REST = {
    "id": "m", "model": "m", "device": "d", "operator": "tir.swap-compare", "slot": "kernel", "outcome": "completed",
    "category": "Conditional Statement Operations", "verdict": "killed", "rung": "label changed", "reason": "",
    "sites": 1, "functions": 1, "inputs": 3, "build_seconds": 0.0, "evaluation": "rebuild", "evaluation_reason": "",
    "carried": False, "noticed": (),
}  # fmt: skip


def mutant_row(**fields: Any) -> MutantRow:
    """A row with these fields; the others have some value that is allowed."""
    return msgspec.convert({**dict.fromkeys(MutantRow.__struct_fields__), **_REST, **fields}, MutantRow)


def without(row: MutantRow, names: Iterable[str]) -> MutantRow:
    """The row with None in these fields, to compare all others."""
    return msgspec.structs.replace(row, **dict.fromkeys(names))

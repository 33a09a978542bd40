"""The table and the file of critical magnitudes, of rows written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from tvm_mutate.studies.critical import CriticalRow
from tvm_mutate.studies.critical_report import critical_table, write_critical


def tried(size: int, *undefined: str) -> dict[str, Any]:
    return {"size": size, "value": size, "id": "m", "reason": "", "undefined": undefined}


def site(critical: int | None, **more: Any) -> CriticalRow:
    row = {"id": "tir.loop-extent@pool#3", "model": "resnet", "device": "llvm", "function": "pool", "parameter": "by"}
    row["operator"] = "tir.loop-extent"
    found = {"critical": critical, "critical_size": critical, "survived": 1, "largest": 7, "monotone": True}
    sizes = [] if critical is None else [tried(critical)]
    mapping = {**row, **found, "evaluations": 4, "tried": sizes, "verdict": "killed", "reason": "", **more}
    return msgspec.convert(mapping, CriticalRow)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (site(2), "│ tir.loop-extent#3 │ pool   │ by=2 │        1 │           4 │"),
        (site(None, verdict="survived", survived=7), "none up to 7"),
        (site(2, tried=[tried(2, "pool reads outside")]), "by=2 (undefined)"),
        (site(2, tried=[tried(5, "pool reads outside")]), "by=2 │"),
        (site(1, monotone=False, survived=None), "by=1, but not 7: not monotone"),
        (site(None, verdict=None, reason="the worker died"), "not known: the worker died"),
    ],
)
def test_a_line_of_the_table_tells_what_was_found_at_a_site(row: CriticalRow, told: str):
    console = Console(width=120)
    with console.capture() as captured:
        console.print(critical_table([row]))
    words = " ".join(captured.get().split())
    assert " ".join(told.split()) in words


def test_the_file_holds_the_plan_and_every_row(tmp_path: Path):
    rows = [site(2), site(None, verdict="survived")]
    path = write_critical(rows, {"devices": [["llvm", "llvm"]]}, tmp_path / "out")
    content = json.loads(path.read_text())
    assert (content["schema_version"], content["plan"]) == (1, {"devices": [["llvm", "llvm"]]})
    assert msgspec.convert(content["sites"], list[CriticalRow]) == rows
    assert [each.name for each in path.parent.iterdir()] == ["critical.json"]

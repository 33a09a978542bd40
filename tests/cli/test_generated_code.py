"""Campaigns on generated code, from the command line to the files."""

from __future__ import annotations

from pathlib import Path

from tests.rows_by_hand import mutant_row
from tvm_mutate.results import MutantRow, read_json

from .conftest import Tool


def test_mutants_of_generated_code_have_the_same_verdicts_by_kernel_and_by_full_rebuild(
    tool: Tool, tmp_path: Path, network: list[str]
):
    chosen = (
        "--operators",
        "code.swap-select,code.integer-flag,code.multiply-add",
        "--target",
        "llvm",
        "--target",
        "c",
    )
    rows = []
    for name, options in (("kernels", ()), ("rebuilt", ("--rebuild",))):
        ended = tool("run", *network, *chosen, *options, "--output", tmp_path / name, "--quiet")
        assert (ended.code, ended.err) == (0, "")
        rows.append([told(row) for row in read_json(tmp_path / name).mutants])
    assert rows[0] == rows[1]
    assert {row.slot for row in rows[0]} == {"text"}
    found = {(row.operator, row.device, row.verdict) for row in rows[0]}
    assert ("code.swap-select", "llvm", "killed") in found
    # That nothing overflows is promised of loops here, and changes no machine code.
    assert ("code.integer-flag", "llvm", "equivalent") in found
    assert ("code.multiply-add", "c", "survived") in found


def told(row: MutantRow) -> MutantRow:
    names = ("id", "operator", "slot", "category", "device", "outcome", "verdict", "model", "sites")
    return mutant_row(**{name: getattr(row, name) for name in names})

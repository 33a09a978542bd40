"""A campaign with switchable kernels comes to the verdicts of one without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_mutate.campaign import Subject
from tvm_mutate.native import native_library
from tvm_mutate.report import write_json

from .conftest import campaign

# What a switchable kernel does not tell, and what is measured.
APART = ("evaluation", "code_digest", "duplicate_of", "build_seconds", "run_seconds", "kernel_seconds")
KERNEL = "fused_conv2d_relu"


def test_a_campaign_comes_to_the_same_verdicts_and_outputs_with_switchable_kernels(subject: Subject, tmp_path: Path):
    if not native_library():
        pytest.skip(str(native_library().obstacle))
    stores = [f"tir.offset-store{{ulps={ulps}}}@{KERNEL}#{site}" for ulps in (64, 65536) for site in range(4)]
    mutants = [*stores, f"tir.negate-value@{KERNEL}#0", f"tir.loop-extent@{KERNEL}#0"]
    rows = []
    for way in (False, True):
        results = campaign(subject, tmp_path / str(way), *mutants, specification={"switchable": way}).run()
        assert write_json(results, tmp_path / str(way))
        rows.append(results.mutants)
    apart, together = ([{key: row[key] for key in row if key not in APART} for row in each] for each in rows)
    assert apart == together
    assert {row["evaluation"] for row in rows[0]} == {"content"}
    ways = {row["id"]: row["evaluation"] for row in rows[1]}
    assert ways[mutants[-1]] == "content"
    assert sum(way == "switchable" for way in ways.values()) >= len(stores) // 2, ways
    assert all(row["code_digest"] is None for row in rows[1] if row["evaluation"] == "switchable")

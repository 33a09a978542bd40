"""Campaigns: canaries, resumption, determinism and results."""

from __future__ import annotations

import json
import pickle
import re
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.rows_by_hand import without
from tvm_mutate.campaign import CANARIES, Campaign, Specification, Subject
from tvm_mutate.device import parse_device
from tvm_mutate.errors import UntrustedError, UsageError
from tvm_mutate.results import MutantRow

from .conftest import INPUTS, campaign

MUTANTS = (
    "graph.replace-activation{to=tanh}@main#*",
    "tir.swap-compare{from=gt,to=ge}@*#*",
    "tir.scale-store{epsilon=1e-08}@*#*",
    "tir.swap-compare{from=lt,to=gt}@*#0",
)
TIMED = ("build_seconds", "run_seconds", "kernel_seconds", "latency")


def timeless(rows) -> list[MutantRow]:
    return [without(row, TIMED) for row in rows]


def test_a_campaign_judges_killed_survived_and_equivalent_and_trusts_its_canaries(subject: Subject, tmp_path: Path):
    results = campaign(subject, tmp_path / "out", *MUTANTS, devices=("llvm", "c")).run()
    verdicts = {(row.id, row.device): row.verdict for row in results.mutants}
    for device in ("llvm", "c"):
        assert verdicts[MUTANTS[0], device] == "killed"
        assert verdicts[MUTANTS[1], device] == "survived"
        assert verdicts[MUTANTS[2], device] == "equivalent"
    assert [(canary.canary, canary.device, canary.verdict, canary.ok) for canary in results.canaries] == [
        ("no-op", "llvm", "survived", True),
        ("sure kill", "llvm", "killed", True),
        ("no-op", "c", "survived", True),
        ("sure kill", "c", "killed", True),
    ]
    assert all(row.sites >= 1 and row.functions >= 1 for row in results.mutants)
    assert all(row.inputs == INPUTS for row in results.mutants)
    assert all(baseline.noise_floor == 0.0 and baseline.same_code for baseline in results.baselines)
    for row in (row for row in results.mutants if row.id == MUTANTS[2]):  # unchanged code does not run
        assert (row.rung, row.reason) == ("compiled", "same generated code")
        assert row.run_seconds == 0
        assert row.max_abs_diff == 0
    # Every two devices are compared, beside the unmutated share.
    assert {row.devices for row in results.discrepancies} == {("llvm", "c")}
    (discrepancy,) = [row for row in results.discrepancies if row.id == MUTANTS[0]]
    assert discrepancy.unmutated_share == 0.0
    labels = [row.labels for row in results.mutants if row.id == MUTANTS[0]]
    assert discrepancy.share == np.mean(np.array(labels[0]) != np.array(labels[1]))


def test_a_mutant_that_changes_only_weights_differs_from_the_unmutated_model(subject: Subject, tmp_path: Path):
    transposed = "graph.insert-transpose{argument=1,before=conv2d}@main#*"
    by_content, rebuilt = (
        campaign(subject, tmp_path / str(rebuild), transposed, specification={"rebuild": rebuild}).run().mutants[0]
        for rebuild in (False, True)
    )
    assert (by_content.evaluation, rebuilt.evaluation) == ("content", "rebuild"), by_content
    for row in (by_content, rebuilt):
        assert row.outcome == "completed", row.reason
        assert row.max_abs_diff > 0.1
        assert row.verdict != "equivalent"
    assert by_content.max_abs_diff == rebuilt.max_abs_diff


def test_any_number_of_workers_gives_the_same_rows_in_the_same_order(subject: Subject, tmp_path: Path):
    specification = Specification(operators=("tir.*",), sites="sample:6", seed=3)
    device = parse_device("llvm")
    runs = [
        Campaign([subject], [device], specification, tmp_path / str(workers), workers=workers).run()
        for workers in (1, 2)
    ]
    ids = [[row.id for row in run.mutants] for run in runs]
    assert ids[0] == ids[1]
    assert len(ids[0]) == len(set(ids[0])) == 6
    assert [row.verdict for row in runs[0].mutants] == [row.verdict for row in runs[1].mutants]


# The third waits at the gate; one worker takes the mutants of a kernel in their order.
GATED = (
    "tir.store-through{type=int8}@matmul#0",
    "tir.offset-store@matmul#1",
    "tir.gated-store@matmul#*",
    "tir.store-through{type=int32}@matmul#0",
    "tir.offset-store@fused_conv2d_relu#1",
)
RUN = """
import pathlib, pickle, sys
from tvm_mutate.campaign import Campaign
from tvm_mutate.device import Device, parse_device
subject, specification = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
output = pathlib.Path(sys.argv[2])
Campaign([subject], [parse_device("llvm")], specification, output, workers=1, least_seconds=600).run()
"""


def test_a_campaign_killed_in_the_middle_resumes_to_the_results_of_an_undisturbed_one(
    subject: Subject, tmp_path: Path, gate: Any
):
    specification = Specification(mutants=GATED)
    arguments, journal = tmp_path / "arguments", tmp_path / "out" / "journal.sqlite"
    arguments.write_bytes(pickle.dumps((subject, specification)))
    gate.close()
    process = subprocess.Popen([sys.executable, "-c", RUN, str(arguments), str(journal.parent)])
    try:
        while not gate.is_reached() or count_of_rows(journal) < 2:
            assert process.poll() is None, "the campaign ended before it reached the gate"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert count_of_rows(journal) == 2
    gate.open()
    resumed, undisturbed = (
        Campaign([subject], [parse_device("llvm")], specification, tmp_path / name, workers=1).run()
        for name in ("out", "other")
    )
    assert len(resumed.mutants) == len(GATED)
    assert timeless(resumed.mutants) == timeless(undisturbed.mutants)


def count_of_rows(journal: Path) -> int:
    """Rows on disk, read from copies: the campaign holds the journal for itself."""
    if not journal.exists():
        return 0
    folder = journal.parent.parent / "copy"
    folder.mkdir(exist_ok=True)
    for name in (journal.name, f"{journal.name}-wal"):
        if (journal.parent / name).exists():
            (folder / name).write_bytes((journal.parent / name).read_bytes())
    try:
        with sqlite3.connect(folder / journal.name) as connection:
            return connection.execute("SELECT count(*) FROM outcome").fetchone()[0]
    except sqlite3.DatabaseError:
        return 0


def test_a_failed_canary_stops_the_campaign_before_any_mutant(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wrong = (replace(CANARIES[0], mutant="canary.negate-output@main#*"), CANARIES[1])
    monkeypatch.setattr("tvm_mutate.campaign.campaign.CANARIES", wrong[:1])
    with pytest.raises(UntrustedError, match="the no-op canary of network on llvm came out killed, not survived"):
        campaign(subject, tmp_path / "out", MUTANTS[0]).run()
    assert count_of_rows(tmp_path / "out" / "journal.sqlite") == 0


@pytest.mark.parametrize(
    ("mutant", "message"),
    [
        ("tir.swap-compare{from=lt,to=le}@*#99", "there is no site #99"),
        ("graph.replace-pooling{from=max,to=avg}@main#*", "has no site in 'main'"),
    ],
)
def test_a_mutant_that_names_a_missing_function_or_site_is_refused(
    subject: Subject, tmp_path: Path, mutant: str, message: str
):
    with pytest.raises(UsageError, match=re.escape(message)):
        campaign(subject, tmp_path / "out", mutant).run()


def test_each_site_alone_and_all_sites_at_once_are_counted_alike(subject: Subject, tmp_path: Path):
    device = parse_device("llvm")
    every, each = (
        Campaign(
            [subject], [device], Specification(("tir.swap-compare",), sites=sites), tmp_path / sites, workers=1
        ).run()
        for sites in ("all", "each")
    )
    assert sum(row.sites for row in every.mutants) == len(each.mutants)
    assert all(row.sites == 1 for row in each.mutants)
    assert {json.dumps(row.id) for row in every.absent} == {json.dumps(row.id) for row in each.absent}

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
from tvm_mutate.campaign import CANARIES, Campaign, Specification, Subject, prepare_subject
from tvm_mutate.campaign.pool import WorkerPool
from tvm_mutate.device import parse_device
from tvm_mutate.errors import UntrustedError, UsageError
from tvm_mutate.results import MutantRow

from .conftest import INPUTS, NETWORK, campaign

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


def test_a_mutant_with_unchanged_code_is_equivalent_and_does_not_run(subject: Subject, tmp_path: Path):
    (row,) = campaign(subject, tmp_path / "out", MUTANTS[2]).run().mutants
    assert (row.verdict, row.rung, row.reason) == ("equivalent", "compiled", "same generated code")
    assert row.run_seconds == 0
    assert row.max_abs_diff == 0


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


def test_discrepancies_pair_every_two_devices_with_the_unmutated_share(subject: Subject, tmp_path: Path):
    results = campaign(subject, tmp_path / "out", MUTANTS[0], devices=("llvm", "c")).run()
    (discrepancy,) = results.discrepancies
    assert discrepancy.devices == ("llvm", "c")
    assert discrepancy.unmutated_share == 0.0
    labels = [row.labels for row in results.mutants]
    assert discrepancy.share == np.mean(np.array(labels[0]) != np.array(labels[1]))


def test_the_same_campaign_twice_gives_the_same_rows_in_the_same_order(subject: Subject, tmp_path: Path):
    specification = Specification(operators=("tir.*",), sites="sample:6", seed=3)
    device = parse_device("llvm")
    runs = [Campaign([subject], [device], specification, tmp_path / name, workers=2).run() for name in ("one", "two")]
    ids = [[row.id for row in run.mutants] for run in runs]
    assert ids[0] == ids[1]
    assert len(ids[0]) == len(set(ids[0])) == 6
    assert [row.verdict for row in runs[0].mutants] == [row.verdict for row in runs[1].mutants]
    other = replace(specification, seed=4)
    assert [row.id for row in Campaign([subject], [device], other, tmp_path / "three").run().mutants] != ids[0]


def test_rows_in_the_journal_are_not_evaluated_again(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = campaign(subject, tmp_path / "out", *MUTANTS).run()
    asked: list[str] = []
    plain = WorkerPool.submit

    def noted(self, jobs):
        asked.extend(getattr(job.request, "mutant", "") for job in jobs)
        return plain(self, jobs)

    monkeypatch.setattr(WorkerPool, "submit", noted)
    second = campaign(subject, tmp_path / "out", *MUTANTS).run()
    assert second.mutants == first.mutants
    assert {mutant for mutant in asked if mutant} == {canary.mutant for canary in CANARIES}


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


@pytest.mark.parametrize("rebuild", [False, True], ids=["by content", "by rebuild"])
def test_a_campaign_killed_in_the_middle_resumes_to_the_results_of_an_undisturbed_one(
    subject: Subject, tmp_path: Path, gate: Any, rebuild: bool
):
    specification = Specification(mutants=GATED, rebuild=rebuild)
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


def test_a_folder_of_another_campaign_is_refused_and_left_as_it_is(subject: Subject, tmp_path: Path):
    campaign(subject, tmp_path / "out", MUTANTS[1]).run()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(UsageError, match="holds another campaign"):
        campaign(subject, tmp_path / "out", MUTANTS[0]).run()
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(subject: Subject, tmp_path: Path):
    folder = tmp_path / "holidays"
    folder.mkdir()
    (folder / "photo.png").write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"already holds 'photo\.png'"):
        campaign(subject, folder, MUTANTS[0]).run()
    assert {path.name for path in folder.iterdir()} == {"photo.png"}


def test_a_failed_canary_stops_the_campaign_before_any_mutant(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wrong = (replace(CANARIES[0], mutant="canary.negate-output@main#*"), CANARIES[1])
    monkeypatch.setattr("tvm_mutate.campaign.campaign.CANARIES", wrong[:1])
    with pytest.raises(UntrustedError, match="the no-op canary of network on llvm came out killed, not survived"):
        campaign(subject, tmp_path / "out", MUTANTS[0]).run()
    assert count_of_rows(tmp_path / "out" / "journal.sqlite") == 0


def test_a_baseline_that_gives_nan_stops_the_campaign(tmp_path: Path):
    network = tmp_path / "network.py"
    nan = "relax.op.divide(flat, relax.op.subtract(flat, flat))"
    network.write_text(NETWORK.replace("relax.op.matmul(flat, relax.const(D))", nan))
    inputs = tmp_path / "inputs.npy"
    np.save(inputs, np.ones((2, 3, 4, 4), "float32"))
    with pytest.raises(UntrustedError, match="NaN or infinite"):
        campaign(prepare_subject(str(network), inputs, tmp_path), tmp_path / "out", MUTANTS[0]).run()


@pytest.mark.parametrize(
    ("mutant", "message"),
    [
        ("tir.swap-compare{from=lt,to=le}@nowhere#*", "no function is named 'nowhere'"),
        ("tir.swap-compare{from=lt,to=le}@*#99", "there is no site #99"),
        ("graph.replace-pooling{from=max,to=avg}@main#*", "has no site in 'main'"),
        ("tir.swap-compare{from=lt}@*#*", "needs the parameter 'to'"),
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
        Campaign([subject], [device], Specification(("tir.swap-compare",), sites=sites), tmp_path / sites).run()
        for sites in ("all", "each")
    )
    assert sum(row.sites for row in every.mutants) == len(each.mutants)
    assert all(row.sites == 1 for row in each.mutants)
    assert {json.dumps(row.id) for row in every.absent} == {json.dumps(row.id) for row in each.absent}


def test_workers_do_not_outlive_a_killed_campaign(subject: Subject, tmp_path: Path):
    with WorkerPool(1) as pool:
        (worker,) = pool.process_ids()
        assert Path(f"/proc/{worker}").exists()
    assert not Path(f"/proc/{worker}").exists()

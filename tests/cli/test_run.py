"""``tvm-mutate run``: files, exit codes, resumption, and foreign folders."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tvm_mutate.campaign.pool import WorkerPool
from tvm_mutate.results import read_json

from .conftest import INPUTS, Tool, assert_refused, contents, write_network

SURVIVOR = "tir.swap-compare{from=gt,to=ge}@*#*"
KILLED = "graph.replace-activation{to=tanh}@main#*"
FILES = {"results.json", "mutants.csv", "agreements.csv", "discrepancies.csv", "undefined.csv", "journal.sqlite"}


def test_a_campaign_on_the_zoo_writes_its_files_and_prints_its_tables(tool: Tool, tmp_path: Path):
    folder = tmp_path / "new" / "out"
    selection = ("--operators", "tir.swap-compare", "--sites", "first", "--limit", "4", "--workers", "1")
    ended = tool("run", "zoo://alexnet", *selection, "--target", "llvm", "--output", folder, "--quiet")
    assert (ended.code, ended.err) == (0, "")
    assert {path.name for path in folder.iterdir()} == FILES
    results = read_json(folder)
    assert {row.operator for row in results.mutants} == {"tir.swap-compare"}
    assert {row.inputs for row in results.mutants} == {4}
    assert [row.name for row in results.models] == ["alexnet"]
    assert "Mutation score" in ended.out
    assert f"written: {folder}/results.json" in ended.out.replace("\n", "")


def test_the_same_command_again_evaluates_no_mutant_and_another_campaign_is_refused(
    tool: Tool, tmp_path: Path, network: list[str], monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    common = ("run", *network, "--output", out)
    arguments = (*common, "--mutant", SURVIVOR, "--mutant", KILLED)
    first = tool(*arguments, "--fail-under", 50)
    assert first.code == 0
    # Progress goes to stderr only, and --quiet has none.
    assert re.search(r"mutants: 2/2, .* s, 1 killed, 1 survived\n", first.err), first.err
    assert "mutants: 2/2" not in first.out
    before = read_json(out)
    assert {row.id: row.verdict for row in before.mutants} == {SURVIVOR: "survived", KILLED: "killed"}

    asked: list[str] = []
    plain = WorkerPool.submit

    def noted(self, jobs):
        asked.extend(getattr(job.request, "mutant", "") for job in jobs)
        return plain(self, jobs)

    monkeypatch.setattr(WorkerPool, "submit", noted)
    again = tool(*arguments, "--fail-under", 51, "--quiet")
    assert (again.code, again.out) == (2, first.out)
    assert again.err == "score 50.0 %: below --fail-under 51 %\n"
    assert {mutant for mutant in asked if not mutant.startswith("canary.")} == {""}
    assert read_json(out).mutants == before.mutants

    files = contents(out)
    assert set(files) == FILES
    assert_refused(tool(*common, "--mutant", KILLED, "--quiet"), "holds another campaign")
    assert contents(out) == files


def test_a_campaign_without_a_score_is_below_every_threshold(tool: Tool, tmp_path: Path, network: list[str]):
    nothing = ("--operators", "graph.replace-pooling", "--output", tmp_path / "out", "--progress", "json")
    ended = tool("run", *network, *nothing, "--fail-under", "1")
    *progress, reason = ended.err.splitlines()
    assert ended.code == 2 and "no mutant was killed or survived" in reason
    found = {(each["event"], each["phase"]) for each in map(json.loads, progress) if each["event"] != "note"}
    assert {("start", "canaries"), ("end", "canaries")} <= found, found


def test_a_campaign_that_could_not_start_leaves_no_folder_and_does_not_block_a_corrected_one(
    tool: Tool, tmp_path: Path, network: list[str]
):
    out = tmp_path / "out"
    wrong = tool("run", *network, "--mutant", "tir.swap-compare{from=gt,to=ge}@nowhere#*", "--output", out, "--quiet")
    assert_refused(wrong, "no function is named 'nowhere'")
    assert not out.exists()
    assert tool("run", *network, "--mutant", SURVIVOR, "--output", out, "--quiet").code == 0


@pytest.mark.parametrize("name", ["holiday.txt", "journal.txt"])
def test_a_folder_with_foreign_files_is_refused_and_no_byte_changes(
    tool: Tool, tmp_path: Path, network: list[str], name: str
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("precious")
    ended = tool("run", *network, "--mutant", SURVIVOR, "--output", tmp_path / "out", "--quiet")
    assert_refused(ended, f"already holds '{name}' and no journal")
    assert contents(tmp_path / "out") == {name: b"precious"}


def test_the_database_of_another_program_is_refused_and_no_byte_changes(tool: Tool, tmp_path: Path, network: list[str]):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("precious")
    with sqlite3.connect(tmp_path / "out" / "journal.sqlite") as connection:
        connection.execute("CREATE TABLE diary (day TEXT)")
        connection.execute("INSERT INTO diary VALUES ('precious')")
    connection.close()
    before = contents(tmp_path / "out")
    ended = tool("run", *network, "--mutant", SURVIVOR, "--output", tmp_path / "out", "--quiet")
    assert_refused(ended, "journal.sqlite of another program")
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("relax.op.divide(flat, relax.op.subtract(flat, flat))", "gives NaN or infinite outputs on llvm"),
        (
            'relax.op.call_pure_packed("no.such.function", flat, ty_args=[R.Tensor((1, 64), "float32")])',
            "does not work on llvm",
        ),
    ],
    ids=["nan", "raises"],
)
def test_a_bad_baseline_is_exit_code_three(tool: Tool, tmp_path: Path, output: str, message: str):
    arguments = write_network(tmp_path, output)
    ended = tool("run", *arguments, "--mutant", SURVIVOR, "--output", tmp_path / "out", "--quiet")
    assert_refused(ended, message, code=3)
    assert not (tmp_path / "out").exists()


def test_own_labels_give_an_accuracy(tool: Tool, tmp_path: Path, network: list[str]):
    np.save(tmp_path / "labels.npy", np.arange(INPUTS) % 5)
    arguments = ("--labels", tmp_path / "labels.npy", "--mutant", SURVIVOR, "--output", tmp_path / "out", "--quiet")
    assert tool("run", *network, *arguments).code == 0
    (baseline,) = read_json(tmp_path / "out").baselines
    labels = json.loads((tmp_path / "out" / "results.json").read_text())["baselines"][0]["labels"]
    assert baseline.accuracy == sum(a == b % 5 for b, a in enumerate(labels)) / INPUTS

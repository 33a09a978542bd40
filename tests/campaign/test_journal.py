"""The journal: its content, its refusals, a full disk, and verdicts for a later campaign."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.rows_by_hand import mutant_row
from tvm_mutate.campaign import Campaign, Journal, Specification, Subject, Survey, prepare_subject
from tvm_mutate.campaign.journal import FILE_NAME, EarlierCampaign, read_journal
from tvm_mutate.campaign.plan import Plan
from tvm_mutate.device import Device
from tvm_mutate.errors import CampaignInterruptedError, UsageError
from tvm_mutate.results import MutantRow

from .conftest import NETWORK, campaign


def row(mutant: str, **more) -> MutantRow:
    return mutant_row(id=mutant, **more)


def test_rows_come_back_as_they_were_written_after_the_journal_was_closed(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", {})
    rows = [row("a", labels=[1, 2]), row("b", reason="Ω")]
    for each in rows:
        journal.add(each)
    journal.close()
    reopened = Journal(tmp_path / "out", "digest", {})
    assert reopened.rows() == rows


def test_another_campaign_is_refused(tmp_path: Path):
    Journal(tmp_path / "out", "digest", {}).close()
    with pytest.raises(UsageError, match="holds another campaign"):
        Journal(tmp_path / "out", "other digest", {})


def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", {})
    script = (
        "import pathlib, sys\n"
        "from tvm_mutate.campaign import Journal\n"
        "Journal(pathlib.Path(sys.argv[1]), 'digest', {})\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")], capture_output=True, text=True, check=False
    )
    assert "another process is using it" in finished.stderr
    journal.add(row("a"))
    assert len(list(journal.rows())) == 1


def test_a_full_disk_stops_the_campaign_with_one_sentence_and_loses_nothing(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", {})
    journal._connection.execute("PRAGMA max_page_count=8")
    written = 0
    with pytest.raises(CampaignInterruptedError, match=r"full.*the same command goes on"):
        for number in range(1000):
            journal.add(row(str(number), reason="x" * 1000))
            written += 1
    journal.close()
    reopened = Journal(tmp_path / "out", "digest", {})
    assert len(list(reopened.rows())) == written > 0


def test_a_file_instead_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match=r"output folder .*out cannot be used"):
        Journal(tmp_path / "out", "digest", {})
    assert (tmp_path / "out").read_text() == "mine"


def test_a_journal_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path):
    (tmp_path / "journal.sqlite").write_text("not a database, but somebody's notes")
    with pytest.raises(UsageError, match="cannot be used"):
        Journal(tmp_path, "digest", {})
    assert (tmp_path / "journal.sqlite").read_text() == "not a database, but somebody's notes"


PLAN = {"subjects": [], "devices": [], "specification": {}, "versions": {}}


def test_the_plan_and_the_mutants_of_a_pair_are_on_disk_before_any_outcome(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", PLAN)
    journal.add_planned("m", "d", ["a", "b"])
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    with contextlib.closing(sqlite3.connect(tmp_path / "copy" / "journal.sqlite")) as connection:
        assert connection.execute("SELECT * FROM planned").fetchall() == [("m", "d", '["a", "b"]')]
        assert json.loads(connection.execute("SELECT plan FROM campaign").fetchone()[0]) == PLAN
        assert connection.execute("SELECT count(*) FROM outcome").fetchone() == (0,)
    journal.close()


def test_a_resumed_campaign_with_other_mutants_is_refused_with_the_first_difference(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", PLAN)
    journal.add_planned("m", "d", ["a", "b"])
    journal.add_planned("m", "d", ["a", "b"])
    with pytest.raises(UsageError, match=r"other mutants of m on d \(number 1 was b, and is c now\)"):
        journal.add_planned("m", "d", ["a", "c"])
    with pytest.raises(UsageError, match=r"number 2 was nothing, and is c now"):
        journal.add_planned("m", "d", ["a", "b", "c"])


def test_a_journal_is_read_from_outside_while_it_is_written_and_left_as_it_is(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", PLAN)
    journal.add(row("a"))
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert read_journal(tmp_path / "out") == (PLAN, [row("a")])
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    journal.close()
    assert read_journal(tmp_path / "out") == (PLAN, [row("a")])


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_a_folder_without_a_journal_that_can_be_read_is_refused(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "journal.sqlite").write_bytes(content)
    with pytest.raises(UsageError, match="holds no journal of a campaign that can be read"):
        read_journal(tmp_path)


WRITE = """
import os, pathlib, signal, sys
from tests.rows_by_hand import mutant_row
from tvm_mutate.campaign import Journal
journal = Journal(pathlib.Path(sys.argv[1]), "digest", {})
for number in range(500):
    journal.add(mutant_row(id=str(number)))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_every_row_is_there_after_a_kill_although_writes_do_not_wait_for_the_disk(tmp_path: Path):
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path / "out")], check=False, cwd=Path(__file__).parents[2])
    assert [each.id for each in Journal(tmp_path / "out", "digest", {}).rows()] == [str(n) for n in range(500)]


def test_a_row_of_a_thousand_labels_takes_less_than_two_milliseconds(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", {})
    times = []
    for number in range(200):
        started = time.process_time()
        journal.add(row(str(number), labels=list(range(1000)), reason="x" * 2000))
        times.append(time.process_time() - started)
    assert statistics.median(times) < 0.002


def test_rows_of_another_version_are_refused(tmp_path: Path):
    journal = Journal(tmp_path / "out", "digest", {})
    journal.write("INSERT INTO outcome VALUES ('m', 'd', 'a', '{\"verdict\": \"slain\"}')")
    with pytest.raises(UsageError, match=r"holds rows of another version of tvm_mutate .*name another with --output"):
        journal.rows()


def test_a_database_with_only_some_of_the_tables_is_another_programs(tmp_path: Path):
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE scores (digest TEXT)")
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(UsageError, match="of another program"):
        Journal(tmp_path, "digest", {})
    assert (tmp_path / FILE_NAME).read_bytes() == before


KILLED = "graph.replace-activation{to=tanh}@main#*"
SURVIVED = "tir.swap-compare{from=gt,to=ge}@*#*"
EQUIVALENT = "tir.scale-store{epsilon=1e-08}@*#*"
OF_CONVOLUTION = "tir.store-through{type=int8}@fused_conv2d_relu#2"
DEVICE = Device("llvm", "llvm")
SUBJECT = Subject("m", "m.py", "model digest", "inputs.npy", "inputs digest", 3)
SPECIFICATION = Specification()
VERSIONS = {"apache-tvm": "1"}


def plan_of(**changes) -> Plan:
    plan = Plan((SUBJECT,), (("llvm", "llvm"), ("other", "c")), SPECIFICATION, VERSIONS)
    return replace(plan, **changes)


def row_of(mutant: str, verdict: str | None = "killed", device: str = "llvm", **more) -> MutantRow:
    return mutant_row(device=device, id=mutant, verdict=verdict, **{"place_digest": "p", **more})


def earlier_campaign(folder: Path, *rows: MutantRow, now: Plan | None = None) -> EarlierCampaign:
    plan = plan_of()
    journal = Journal(folder, plan.digest(), plan.mapping())
    for each in rows:
        journal.add(each)
    journal.close()
    return EarlierCampaign(folder, now or plan)


def test_killed_and_equivalent_rows_of_unchanged_functions_are_reused_and_marked(tmp_path: Path):
    rows = [
        row_of("a"),
        row_of("b", "equivalent"),
        row_of("c", "survived"),
        row_of("d", None),
        row_of("e", place_digest="old"),
    ]
    survey = Survey(tuple("abcdef"), {}, dict.fromkeys("abcdef", "p"))
    carried = earlier_campaign(tmp_path / "out", *rows).reusable(SUBJECT, DEVICE, survey)
    assert carried == {"a": row_of("a", carried=True), "b": row_of("b", "equivalent", carried=True)}


def test_rows_are_found_by_target_whatever_the_device_is_called(tmp_path: Path):
    found = earlier_campaign(tmp_path / "out", row_of("a", device="other"))
    survey = Survey(("a",), {}, {"a": "p"})
    assert found.reusable(SUBJECT, DEVICE, survey) == {}
    assert found.reusable(SUBJECT, Device("mine", "c"), survey)["a"].device == "mine"


def test_no_row_is_reused_for_other_inputs(tmp_path: Path):
    found = earlier_campaign(tmp_path / "out", row_of("a"))
    other = replace(SUBJECT, inputs_digest="others")
    assert found.reusable(other, DEVICE, Survey(("a",), {}, {"a": "p"})) == {}


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ({"versions": {"apache-tvm": "2"}}, "it had apache-tvm 1, and this is 2"),
        ({"specification": replace(SPECIFICATION, oracles=("bitwise",))}, "it had --oracle (default), and this has"),
        ({"specification": replace(SPECIFICATION, until="killed")}, "it had --until"),
        ({"specification": replace(SPECIFICATION, precision=0.1)}, "it had --precision None, and this has 0.1"),
    ],
)
def test_a_campaign_that_judged_differently_is_named_as_the_obstacle(tmp_path: Path, now: dict, why: str):
    found = earlier_campaign(tmp_path / "out", row_of("a"), now=plan_of(**now))
    assert found.obstacle.startswith(why)
    assert found.reusable(SUBJECT, DEVICE, Survey(("a",), {}, {"a": "p"})) == {}


def evaluated(results) -> set[str]:
    return {row.id for row in results.mutants if not row.carried}


def test_a_second_campaign_evaluates_survivors_and_changed_kernels_only(tmp_path: Path):
    """The dense layer of the network is another one in the second campaign: its convolution is as it was."""
    mutants = (KILLED, SURVIVED, EQUIVALENT, OF_CONVOLUTION)
    bitwise = {"specification": {"oracles": ("bitwise",)}}
    np.save(tmp_path / "inputs.npy", np.random.default_rng(1).normal(size=(3, 3, 4, 4)).astype("float32"))
    network = tmp_path / "network.py"
    subjects = []
    for columns in (5, 6):
        network.write_text(NETWORK.replace("size=(64, 5)", f"size=(64, {columns})"))
        folder = tmp_path / str(columns)
        folder.mkdir()
        subjects.append(prepare_subject(str(network), tmp_path / "inputs.npy", folder))
        if columns == 5:
            results = campaign(subjects[0], tmp_path / "out5", *mutants, **bitwise).run()
            again = campaign(subjects[0], tmp_path / "again", *mutants, iterate=tmp_path / "out5", **bitwise).run()
    first = {row.id: row for row in results.mutants}
    assert {mutant: row.verdict for mutant, row in first.items()} == {
        KILLED: "killed", SURVIVED: "survived", EQUIVALENT: "equivalent", OF_CONVOLUTION: "killed"
    }  # fmt: skip
    assert not any(row.carried for row in first.values())
    assert evaluated(again) == {SURVIVED}
    for row in again.mutants:
        if row.carried:
            assert msgspec.structs.replace(row, carried=False) == first[row.id]
    changed = campaign(subjects[1], tmp_path / "changed", *mutants, iterate=tmp_path / "out5", **bitwise).run()
    assert evaluated(changed) == {KILLED, SURVIVED, EQUIVALENT}
    assert [row.id for row in changed.mutants] == list(mutants)
    resumed = campaign(subjects[1], tmp_path / "changed", *mutants, **bitwise).run()
    assert resumed.mutants == changed.mutants


def test_a_folder_that_is_no_earlier_campaign_is_refused_before_anything_is_written(subject: Subject, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="holds no journal of a campaign"):
        campaign(subject, out, KILLED, iterate=tmp_path / "nowhere").run()
    with pytest.raises(UsageError, match="names the output folder itself"):
        Campaign([subject], [DEVICE], Specification(), out, iterate=out).run()
    assert not out.exists()

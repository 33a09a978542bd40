"""Mutants that crash, hang, do not compile or write out of bounds: each an outcome, and the campaign goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_mutate.campaign import Subject

from .conftest import campaign

HARMLESS = "tir.swap-compare{from=gt,to=ge}@*#*"
KILLED = "graph.replace-activation{to=tanh}@main#*"
LIMIT = 6.0


@pytest.mark.parametrize("device", ["llvm", "c"])
def test_four_hostile_mutants_are_four_outcomes_of_one_finished_campaign(
    subject: Subject, tmp_path: Path, hostile_package: None, device: str
):
    hostile = [f"tir.hostile-{name}@*#*" for name in ("crash", "hang", "not-compile", "write-beyond")]
    results = campaign(
        subject, tmp_path / "out", *hostile, HARMLESS, KILLED, devices=(device,), least_seconds=LIMIT
    ).run()
    rows = {row.id: row for row in results.mutants}
    assert list(rows) == [*hostile, HARMLESS, KILLED]
    crash, hang, not_compile, beyond = (rows[mutant] for mutant in hostile)
    assert (crash.outcome, crash.verdict) == ("crash", "killed")
    assert "SIGSEGV" in crash.reason
    assert (hang.outcome, hang.verdict) == ("timeout", "killed")
    assert hang.reason.endswith(": no end within the time limit")  # no measured number: it is the same every time
    assert (not_compile.outcome, not_compile.verdict) == ("compile error", None)
    assert beyond.outcome in ("completed", "crash")
    # What came after the worst of them is judged as if alone.
    alone = campaign(subject, tmp_path / "alone", HARMLESS, KILLED, devices=(device,)).run()
    for row in alone.mutants:
        after = rows[row.id]
        for name in ("verdict", "labels", "max_abs_diff", "changed_labels"):
            assert getattr(after, name) == getattr(row, name)
    assert all(canary.ok for canary in results.canaries)


def test_a_crash_says_how_far_it_got_and_which_sites_were_applied(
    subject: Subject, tmp_path: Path, hostile_package: None
):
    (row,) = campaign(subject, tmp_path / "out", "tir.hostile-crash@*#*").run().mutants
    assert row.rung == "reached"
    assert row.sites > 0
    assert row.dissimilarity is None


@pytest.mark.parametrize("rebuild", [False, True], ids=["by content", "by rebuild"])
def test_a_mutant_that_takes_memory_without_end_is_an_outcome_of_its_own(
    subject: Subject, tmp_path: Path, hostile_package: None, rebuild: bool
):
    greedy = "tir.hostile-take-memory@*#*"
    options = {"specification": {"rebuild": rebuild}}
    row, other = campaign(subject, tmp_path / "out", greedy, KILLED, **options).run().mutants
    assert (row.outcome, row.verdict) == ("compile error", None)  # it was in the compiler that it did so
    assert "Unable to allocate" in row.reason
    assert (other.outcome, other.verdict) == ("completed", "killed")

"""Sessions in the same folder: what is known already is not asked again, and what has changed is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tvm_mutate.errors import UsageError
from tvm_mutate.suite import CANARY, RECORD, SuiteJournal

from . import small_suite
from .conftest import run_session
from .small_suite import suite_test


def verdicts(results) -> dict[str, tuple[str, str | None, str]]:
    return {row["id"]: (row["verdict"], row["kind"], row["reason"]) for row in results.mutants}


def test_a_second_session_runs_no_mutant_and_says_the_same(tmp_path: Path):
    tests = [suite_test(small_suite.asserts), suite_test(small_suite.runs_and_notices_nothing)]
    first = run_session(tmp_path, tests)
    second = run_session(tmp_path, tests)
    assert first.effort["trials"] > 0
    assert (second.effort["trials"], second.effort["trials_reused"]) == (0, first.effort["trials"])
    assert verdicts(second) == verdicts(first)


def test_the_test_that_is_known_to_kill_is_believed_though_another_has_become_faster(tmp_path: Path):
    delays = {"one": 0.0, "other": 0.3}

    def one() -> None:
        time.sleep(delays["one"])
        small_suite.asserts()

    def other() -> None:
        time.sleep(delays["other"])
        small_suite.asserts()

    tests = [suite_test(one), suite_test(other)]
    first = run_session(tmp_path, tests)
    delays.update(one=0.6)
    second = run_session(tmp_path, tests)
    assert first.mutants[0]["killer"] == second.mutants[0]["killer"]
    assert second.effort["trials"] == 0


def test_after_a_change_only_the_kernel_that_changed_is_asked_about(tmp_path: Path):
    constant = 2.0

    def changing() -> None:
        assert small_suite.is_right(4, constant)

    tests = [suite_test(changing), suite_test(small_suite.raises)]
    first = run_session(tmp_path, tests)
    constant = 3.0
    second = run_session(tmp_path, tests)
    # The two canaries of the changed test, and the mutant of its kernel; what the other test said is known.
    assert (second.effort["trials"], second.effort["trials_reused"]) == (3, 3)
    assert len(verdicts(first).keys() & verdicts(second).keys()) == 1


def test_a_test_whose_source_changed_is_asked_again(tmp_path: Path):
    first = run_session(tmp_path, [suite_test(small_suite.asserts)])
    second = run_session(tmp_path, [suite_test(small_suite.asserts, source="changed")])
    assert second.effort["trials"] == first.effort["trials"] == 3
    assert second.effort["trials_reused"] == 0


def test_a_session_that_was_broken_off_goes_on_where_it_was(tmp_path: Path):
    tests = [suite_test(small_suite.asserts), suite_test(small_suite.raises)]
    stopped = run_session(tmp_path, tests, budget=1e-9)
    assert (stopped.effort["mutants_planned"], stopped.effort["mutants_left_out"], stopped.mutants) == (2, 2, ())
    resumed = run_session(tmp_path, tests)
    assert resumed.effort["trials_reused"] == stopped.effort["trials"] == 4  # the canaries
    assert (resumed.effort["trials"], len(resumed.mutants)) == (2, 2)


def test_modes_build_on_each_other(tmp_path: Path):
    tests = [suite_test(small_suite.asserts)]
    recorded = run_session(tmp_path, tests, mode=RECORD)
    assert (recorded.effort["trials"], recorded.mutants) == (0, ())
    assert recorded.tests[0]["kernels_executed"] == 1
    assert recorded.tests[0]["notices"] is None
    asked = run_session(tmp_path, tests, mode=CANARY)
    assert (asked.tests[0]["notices"], asked.mutants) == (True, ())
    assert run_session(tmp_path, tests).effort["trials_reused"] == 2


def test_a_mutant_asked_for_by_its_id_is_run_again(tmp_path: Path):
    tests = [suite_test(small_suite.asserts), suite_test(small_suite.raises)]
    (row, _) = run_session(tmp_path, tests).mutants
    again = run_session(tmp_path, tests, mutants=(row["id"],))
    assert again.effort["trials"] == 1
    assert [each["id"] for each in again.mutants] == [row["id"]]
    assert "T.float32(2.0)" in again.mutants[0]["difference"]
    with pytest.raises(UsageError, match="no test that was collected builds a kernel"):
        run_session(tmp_path, tests, mutants=("tir.replace-float-arithmetic{from=add,to=subtract}@ffff#0",))


def test_a_folder_in_use_or_of_another_program_is_refused(tmp_path: Path):
    journal = SuiteJournal(tmp_path / "used")
    with pytest.raises(UsageError, match="another process is using it"):
        SuiteJournal(tmp_path / "used")
    journal.close()
    (tmp_path / "suite.sqlite").write_text("not a database at all, but text")
    with pytest.raises(UsageError, match="cannot be used"):
        SuiteJournal(tmp_path)

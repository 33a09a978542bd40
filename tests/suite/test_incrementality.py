"""Runs in the same folder: known trials are reused, and trials of changed kernels and tests run again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tvm_mutate.errors import UsageError
from tvm_mutate.results import SuiteMode, SuiteResults
from tvm_mutate.results.files import write_suite_json
from tvm_mutate.suite import SuiteJournal

from . import small_suite
from .conftest import FAULT, run_suite
from .small_suite import suite_test


def verdicts(results: SuiteResults) -> dict[str, tuple[str, str | None, str]]:
    return {row.id: (row.verdict, row.kind, row.reason) for row in results.mutants}


def test_a_second_run_reuses_all_trials_and_gives_the_same_verdicts(tmp_path: Path):
    tests = [suite_test(small_suite.asserts), suite_test(small_suite.runs_and_notices_nothing)]
    first = run_suite(tmp_path, tests)
    second = run_suite(tmp_path, tests)
    assert first.effort.trials > 0
    assert (second.effort.trials, second.effort.trials_reused) == (0, first.effort.trials)
    assert verdicts(second) == verdicts(first)


def test_a_known_kill_counts_although_another_test_has_become_faster(tmp_path: Path):
    delays = {"one": 0.0, "other": 0.3}

    def one() -> None:
        time.sleep(delays["one"])
        small_suite.asserts()

    def other() -> None:
        time.sleep(delays["other"])
        small_suite.asserts()

    tests = [suite_test(one), suite_test(other)]
    first = run_suite(tmp_path, tests)
    delays.update(one=0.6)
    second = run_suite(tmp_path, tests)
    assert first.mutants[0].killer == second.mutants[0].killer
    assert second.effort.trials == 0


def test_only_a_changed_kernel_is_judged_again(tmp_path: Path):
    constant = 2.0

    def changing() -> None:
        assert small_suite.is_right(4, constant)

    tests = [suite_test(changing), suite_test(small_suite.raises)]
    first = run_suite(tmp_path, tests)
    constant = 3.0
    second = run_suite(tmp_path, tests)
    # The two canaries of the changed test and the mutant of its kernel; the trials of the other test are known.
    assert (second.effort.trials, second.effort.trials_reused) == (3, 3)
    assert len(verdicts(first).keys() & verdicts(second).keys()) == 1


def test_a_test_with_changed_source_runs_again(tmp_path: Path):
    first = run_suite(tmp_path, [suite_test(small_suite.asserts)])
    second = run_suite(tmp_path, [suite_test(small_suite.asserts, source="changed")])
    assert second.effort.trials == first.effort.trials == 3
    assert second.effort.trials_reused == 0


def test_a_run_that_used_up_its_budget_is_resumed(tmp_path: Path):
    tests = [suite_test(small_suite.asserts), suite_test(small_suite.raises)]
    stopped = run_suite(tmp_path, tests, budget=1e-9)
    assert (stopped.effort.mutants_planned, stopped.effort.mutants_left_out, stopped.mutants) == (2, 2, ())
    resumed = run_suite(tmp_path, tests)
    assert resumed.effort.trials_reused == stopped.effort.trials == 4  # the canaries
    assert (resumed.effort.trials, len(resumed.mutants)) == (2, 2)


def test_each_mode_reuses_the_trials_of_the_mode_before(tmp_path: Path):
    tests = [suite_test(small_suite.asserts)]
    recorded = run_suite(tmp_path, tests, mode=SuiteMode.RECORD)
    assert (recorded.effort.trials, recorded.mutants) == (0, ())
    assert recorded.tests[0].kernels_executed == 1
    assert recorded.tests[0].notices is None
    asked = run_suite(tmp_path, tests, mode=SuiteMode.CANARY)
    assert (asked.tests[0].notices, asked.mutants) == (True, ())
    assert run_suite(tmp_path, tests).effort.trials_reused == 2


def test_a_mutant_requested_by_its_id_runs_again(tmp_path: Path):
    tests = [suite_test(small_suite.asserts), suite_test(small_suite.raises)]
    (row, _) = run_suite(tmp_path, tests).mutants
    again = run_suite(tmp_path, tests, mutants=(row.id,))
    assert again.effort.trials == 1
    assert [each.id for each in again.mutants] == [row.id]
    assert "T.float32(2.0)" in again.mutants[0].difference
    with pytest.raises(UsageError, match="no test that was collected builds a kernel"):
        run_suite(tmp_path, tests, mutants=("tir.replace-float-arithmetic{from=add,to=subtract}@ffff#0",))


def test_a_folder_that_another_process_or_program_uses_is_refused(tmp_path: Path):
    journal = SuiteJournal(tmp_path / "used")
    with pytest.raises(UsageError, match="another process is using it"):
        SuiteJournal(tmp_path / "used")
    journal.close()
    (tmp_path / "suite.sqlite").write_text("not a database at all, but text")
    with pytest.raises(UsageError, match="cannot be used"):
        SuiteJournal(tmp_path)


def test_a_run_since_an_earlier_one_judges_mutants_of_new_kernels_only(tmp_path: Path):
    """The earlier results are in the folder of the new ones; the second run has a kernel that the first had not."""
    write_suite_json(run_suite(tmp_path, [suite_test(small_suite.asserts)]), tmp_path)
    both = [suite_test(small_suite.asserts), suite_test(small_suite.runs_and_notices_nothing)]
    second = run_suite(tmp_path, both, since=str(tmp_path))
    (new,) = [row.kernel for row in second.kernels if row.built_by == (both[1].name,)]
    assert {row.kernel for row in second.mutants} == {new}
    write_suite_json(second, tmp_path)
    third = run_suite(tmp_path, both, since=str(tmp_path), operators=(FAULT, "pipeline"))
    assert (third.mutants, third.effort.mutants_planned, len(third.kernels)) == ((), 0, 2)
    with pytest.raises(UsageError, match="cannot be read"):
        run_suite(tmp_path, both, since=str(tmp_path / "nowhere"))

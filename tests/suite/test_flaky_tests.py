"""Tests that end differently in equal runs: they are called flaky, and judge no mutant."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from tvm_mutate.suite import SuiteTest

from . import small_suite
from .conftest import run_suite
from .small_suite import suite_test


def failing_in_runs(folder: Path, failing: Collection[int]) -> SuiteTest:
    """A test that kills the fault, and fails without one in its runs of these numbers, from 1."""
    runs = folder / "runs"

    def sometimes_fails() -> None:
        assert small_suite.is_right(4)
        with runs.open("a") as file:
            file.write(".")
        assert len(runs.read_text()) not in failing

    return suite_test(sometimes_fails)


@pytest.mark.parametrize(
    ("failing", "outcome", "flaky"),
    [
        ({2}, "passed", "passed, assertion, passed in 3 runs without a mutant"),
        # The first run of a recording fails, and so do the others until the recording gives up.
        ({1, 2}, "assertion", "assertion, passed, passed in 3 runs without a mutant"),
        ({4}, "passed", "assertion, passed in 2 runs with a mutant that changes nothing"),
    ],
    ids=["a repeated run fails", "a repeated run passes", "one run of two with the no-op fails"],
)
def test_a_flaky_test_is_named_with_its_outcomes_and_judges_nothing(tmp_path: Path, failing, outcome: str, flaky: str):
    tests = [failing_in_runs(tmp_path, failing), suite_test(small_suite.raises)]
    results = run_suite(tmp_path / "journal", tests, repeats=2)
    row, steady = results.tests
    assert (row.outcome, row.flaky, row.reliable) == (outcome, flaky, False)
    assert (steady.flaky, steady.reliable) == ("", True)
    assert {mutant.verdict for mutant in results.mutants} == {"killed", "no coverage"}
    assert (results.score.killed, results.score.decided) == (1, 1)


def test_a_flaky_test_stays_flaky_in_later_runs(tmp_path: Path):
    tests = [failing_in_runs(tmp_path, {2})]
    first, second = (run_suite(tmp_path / "journal", tests, repeats=2) for _ in range(2))
    assert [row.flaky for row in first.tests] == [row.flaky for row in second.tests] != [""]
    assert (second.effort.trials, second.score.decided) == (0, 0)


def test_a_test_that_always_fails_is_not_flaky(tmp_path: Path):
    (row,) = run_suite(tmp_path, [suite_test(small_suite.always_fails)], repeats=2).tests
    assert (row.outcome, row.flaky, row.reliable) == ("assertion", "", None)


def test_a_test_that_is_repaired_between_two_runs_is_not_flaky(tmp_path: Path):
    missing = tmp_path / "missing"

    def needs_a_file() -> None:
        assert small_suite.is_right(4)
        assert missing.exists()

    tests = [suite_test(needs_a_file)]
    (before,) = run_suite(tmp_path / "journal", tests, repeats=1).tests
    missing.touch()
    (after,) = run_suite(tmp_path / "journal", tests, repeats=1).tests
    assert (before.outcome, before.flaky, after.outcome, after.flaky) == ("assertion", "", "passed", "")

"""A run on a small suite: how its tests end, what they run, and the verdicts on the mutants of their kernels."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tvm_mutate.report.suite import idle_tests, silent_tests, suite_scores
from tvm_mutate.results import SuiteMutantRow, SuiteResults, SuiteTestRow

from . import small_suite


def name(function: Callable[[], None]) -> str:
    return f"small.py::{function.__name__}"


def row_of(results: SuiteResults, function: Callable[[], None]) -> SuiteTestRow:
    (row,) = [row for row in results.tests if row.test == name(function)]
    return row


def mutant_of(results: SuiteResults, function: Callable[[], None]) -> SuiteMutantRow:
    """The only mutant of the kernel that this test builds."""
    (kernel,) = [row for row in results.kernels if name(function) in row.built_by]
    (row,) = [row for row in results.mutants if row.kernel == kernel.kernel]
    return row


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        (small_suite.asserts, "assertion"),
        (small_suite.raises, "exception"),
        (small_suite.crashes_on_fault, "crash"),
        (small_suite.hangs_on_fault, "timeout"),
        (small_suite.exits_on_fault, "crash"),
        (small_suite.forks_and_returns, "assertion"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_killed_mutant_has_the_outcome_of_the_test_that_killed_it(results: SuiteResults, test, kind: str):
    row = mutant_of(results, test)
    assert (row.verdict, row.kind, row.killer) == ("killed", kind, name(test))


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (small_suite.compares_two_builds, "same fault in both builds"),
        (small_suite.runs_and_notices_nothing, "ran, no test checks values"),
        (small_suite.allows_much, "values changed, within the tolerance"),
        (small_suite.builds_and_runs_nothing, "built, never run"),
        (small_suite.adds_nothing, "ran, values unchanged"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_survivor_has_a_reason_and_a_location(results: SuiteResults, test, reason: str):
    row = mutant_of(results, test)
    assert (row.verdict, row.reason, row.covering) == ("survived", reason, (name(test),))
    assert " + " in row.before
    assert " - " in row.after
    assert any(line.startswith("+") and " - T.float32" in line for line in row.difference.splitlines())


def test_a_test_that_fails_without_a_mutant_covers_no_kernel(results: SuiteResults):
    row = mutant_of(results, small_suite.always_fails)
    assert (row.verdict, row.reason, row.trials) == ("no coverage", "no test builds it", ())
    assert row_of(results, small_suite.always_fails).outcome == "assertion"


def test_built_and_executed_kernels_are_recorded(results: SuiteResults):
    both = row_of(results, small_suite.compares_two_builds)
    assert (both.builds, both.kernels, both.kernels_executed) == (2, 1, 1)
    nothing = row_of(results, small_suite.builds_nothing)
    assert (nothing.builds, nothing.kernels, nothing.outcome) == (0, 0, "passed")
    assert [row.test for row in idle_tests(results)] == [name(small_suite.builds_and_runs_nothing)]


def test_canaries_find_the_tests_that_notice_nothing(results: SuiteResults):
    silent = {row.test for row in silent_tests(results) if row.kernels_executed}
    assert silent == {name(small_suite.compares_two_builds), name(small_suite.runs_and_notices_nothing)}
    assert row_of(results, small_suite.hangs_on_fault).vanished == "timeout"
    assert all(row.no_op == "passed" for row in results.tests if row.outcome == "passed")


def test_the_score_counts_killed_and_surviving_mutants(results: SuiteResults):
    scores = suite_scores(results)
    assert (scores.overall.killed, scores.overall.decided) == (6, 11)
    assert (scores.by_file["small.py"].killed, scores.by_file["small.py"].decided) == (6, 11)
    assert scores.kinds == {"assertion": 2, "exception": 1, "crash": 2, "timeout": 1}

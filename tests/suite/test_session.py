"""A session on a small suite: how its tests end, what they run, and what becomes of mutants of their kernels."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tvm_mutate.report.suite_score import idle_tests, silent_tests, suite_scores
from tvm_mutate.suite import SuiteResults
from tvm_mutate.suite.results import Row

from . import small_suite


def name(function: Callable[[], None]) -> str:
    return f"small.py::{function.__name__}"


def row_of(results: SuiteResults, function: Callable[[], None]) -> Row:
    (row,) = [row for row in results.tests if row["test"] == name(function)]
    return row


def mutant_of(results: SuiteResults, function: Callable[[], None]) -> Row:
    """The only mutant of the kernel that this test builds."""
    (kernel,) = [row for row in results.kernels if name(function) in row["built_by"]]
    (row,) = [row for row in results.mutants if row["kernel"] == kernel["kernel"]]
    return row


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        (small_suite.asserts, "assertion"),
        (small_suite.raises, "exception"),
        (small_suite.crashes_on_fault, "crash"),
        (small_suite.hangs_on_fault, "timeout"),
        (small_suite.exits_on_fault, "crash"),
        (small_suite.forks_and_comes_back, "assertion"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_mutant_is_killed_in_the_way_in_which_its_test_notices_it(results: SuiteResults, test, kind: str):
    row = mutant_of(results, test)
    assert (row["verdict"], row["kind"], row["killer"]) == ("killed", kind, name(test))


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        (small_suite.compares_two_builds, "same fault in both builds"),
        (small_suite.runs_and_notices_nothing, "values changed, within the tolerance"),
        (small_suite.builds_and_runs_nothing, "built, never run"),
        (small_suite.adds_nothing, "ran, values unchanged"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_survivor_is_told_with_the_reason_and_its_place(results: SuiteResults, test, reason: str):
    row = mutant_of(results, test)
    assert (row["verdict"], row["reason"], row["covering"]) == ("survived", reason, [name(test)])
    assert " + " in row["before"]
    assert " - " in row["after"]
    assert any(line.startswith("+") and " - T.float32" in line for line in row["difference"].splitlines())


def test_a_kernel_of_tests_that_fail_anyway_is_covered_by_none(results: SuiteResults):
    row = mutant_of(results, small_suite.always_fails)
    assert (row["verdict"], row["reason"], row["trials"]) == ("no coverage", "no test builds it", [])
    assert row_of(results, small_suite.always_fails)["outcome"] == "assertion"


def test_what_a_test_builds_and_runs_is_recorded(results: SuiteResults):
    both = row_of(results, small_suite.compares_two_builds)
    assert (both["builds"], both["kernels"], both["kernels_executed"]) == (2, 1, 1)
    nothing = row_of(results, small_suite.builds_nothing)
    assert (nothing["builds"], nothing["kernels"], nothing["outcome"]) == (0, 0, "passed")
    assert [row["test"] for row in idle_tests(results)] == [name(small_suite.builds_and_runs_nothing)]


def test_canaries_tell_tests_that_notice_nothing(results: SuiteResults):
    silent = {row["test"] for row in silent_tests(results) if row["kernels_executed"]}
    assert silent == {name(small_suite.compares_two_builds), name(small_suite.runs_and_notices_nothing)}
    assert row_of(results, small_suite.hangs_on_fault)["vanished"] == "timeout"
    assert all(row["no_op"] == "passed" for row in results.tests if row["outcome"] == "passed")


def test_the_score_is_of_the_mutants_that_were_decided(results: SuiteResults):
    scores = suite_scores(results)
    assert (scores.overall.killed, scores.overall.decided) == (6, 10)
    assert (scores.by_file["small.py"].killed, scores.by_file["small.py"].decided) == (6, 10)
    assert scores.kinds == {"assertion": 2, "exception": 1, "crash": 2, "timeout": 1}

"""Scores of a test-suite: overall, by file, by test, by operator; and what its tests do not notice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tvm_mutate.mutant import Category
from tvm_mutate.results import Score
from tvm_mutate.suite import TestOutcome
from tvm_mutate.suite.results import Row, SuiteResults
from tvm_mutate.suite.verdicts import KILLED, SURVIVED

_COMPILER = str(Category.COMPILER_PASSES)


@dataclass(frozen=True)
class SuiteScores:
    """The scores of the mutants of kernels; those of faults in the compiler's list of passes stand in ``compiler``.

    A mutant counts for a file, or a test, that it was run with: as killed where that one killed it. Tests are asked
    until one kills, so that a test has no part in mutants that another one killed before its turn.
    """

    overall: Score
    compiler: Score
    by_file: dict[str, Score]
    by_test: dict[str, Score]
    by_operator: dict[str, Score]
    by_operator_and_file: dict[tuple[str, str], Score]
    kinds: dict[str, int]
    reasons: dict[str, int]


def suite_scores(results: SuiteResults) -> SuiteScores:
    """The scores of a suite."""
    kernels = [row for row in results.mutants if row["category"] != _COMPILER]
    compiler = [row for row in results.mutants if row["category"] == _COMPILER]
    files = {row["test"]: row["file"] for row in results.tests}
    tried: list[tuple[str, str, str, bool]] = []
    for row in kernels:
        for trial in row["trials"]:
            if trial["applied"]:
                tried.append((trial["test"], row["id"], row["operator"], TestOutcome(trial["kind"]).kills))
    return SuiteScores(
        overall=_decided(kernels),
        compiler=_decided(compiler),
        by_file=_scores((files[test], mutant, killed) for test, mutant, _, killed in tried),
        by_test=_scores((test, mutant, killed) for test, mutant, _, killed in tried),
        by_operator={
            name: _decided([row for row in kernels if row["operator"] == name])
            for name in sorted({row["operator"] for row in kernels})
        },
        by_operator_and_file=_scores(
            ((operator, files[test]), mutant, killed) for test, mutant, operator, killed in tried
        ),
        kinds=dict(Counter(row["kind"] for row in kernels if row["verdict"] == KILLED)),
        reasons=dict(Counter(row["reason"] for row in kernels if row["verdict"] != KILLED and row["reason"])),
    )


def silent_tests(results: SuiteResults) -> list[Row]:
    """The tests that pass, build kernels with stores, and pass without the stores, too."""
    return [row for row in results.tests if row["vanished"] == str(TestOutcome.PASSED)]


def idle_tests(results: SuiteResults) -> list[Row]:
    """The tests that pass, build kernels, and run none of them."""
    return [
        row
        for row in results.tests
        if row["outcome"] == str(TestOutcome.PASSED)
        and row["kernels"]
        and row["kernels_executed"] == 0
        and not row["kernels_unknown"]
    ]


def _decided(rows: Iterable[Row]) -> Score:
    verdicts = [row["verdict"] for row in rows]
    killed = verdicts.count(KILLED)
    return Score(killed, killed + verdicts.count(SURVIVED))


def _scores(tried: Iterable[tuple]) -> dict:
    """The score of each group, of ``(group, mutant, killed)``; a mutant counts once in a group."""
    killed: dict[object, dict[str, bool]] = {}
    for group, mutant, kills in tried:
        mutants = killed.setdefault(group, {})
        mutants[mutant] = mutants.get(mutant, False) or kills
    return {group: Score(sum(mutants.values()), len(mutants)) for group, mutants in sorted(killed.items())}

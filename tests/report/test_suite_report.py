"""The reports of a test-suite, from rows written by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from tests.report.results_by_hand import a_mutant, results_of_a_suite
from tvm_mutate.report import render_suite, write_suite
from tvm_mutate.report.suite import suite_scores
from tvm_mutate.results import SuiteMutantRow, SuiteResults


@pytest.fixture
def results() -> SuiteResults:
    return results_of_a_suite()


def test_a_mutant_counts_for_the_tests_and_files_that_ran_with_it(results: SuiteResults):
    scores = suite_scores(results)
    assert (scores.overall.killed, scores.overall.decided) == (2, 3)
    assert (scores.compiler.killed, scores.compiler.decided) == (1, 1)
    assert {name: (each.killed, each.decided) for name, each in scores.by_file.items()} == {
        "a.py": (1, 3),
        "b.py": (1, 2),
    }
    found = {place: (each.killed, each.decided) for place, each in scores.by_operator_and_file.items()}
    assert found == {
        ("tir.x", "a.py"): (1, 2),
        ("tir.x", "b.py"): (1, 1),
        ("tir.y", "a.py"): (0, 1),
        ("tir.y", "b.py"): (0, 1),
    }
    assert scores.kinds == {"assertion": 1, "timeout": 1}
    assert scores.reasons == {"ran, values unchanged": 1, "no test builds it": 1}


def test_a_trial_that_changed_nothing_counts_for_no_test(results: SuiteResults):
    row = a_mutant("tir.x", "killed", [("a.py::one", "passed"), ("b.py::two", "assertion")])
    row["trials"][0]["applied"] = False
    scores = suite_scores(replace(results, mutants=(msgspec.convert(row, SuiteMutantRow),)))
    assert list(scores.by_test) == ["b.py::two"]


def test_the_terminal_shows_scores_survivors_and_tests_that_notice_nothing(results: SuiteResults):
    console = Console(file=io.StringIO(), width=110, highlight=False)
    with console.capture() as capture:
        for line in render_suite(results):
            console.print(line)
    lines = " ".join(capture.get().split())
    for part in (
        "4 tests, 3 of them pass unmutated; 3 of these build kernels and 2 run some that they build.",
        "b.py::four crash: SIGSEGV",
        "Of 3 tests with stores to remove, 1 notice that they are gone.",
        "tir.x 2/2 1/2 1/1",
        "pipeline.z@*#0 killed by a.py::one (crash)",
        "Operators without a site in the suite: tir.none",
        "5 runs of tests, 2 more from the cache; 1 mutant left out; judging 2.5 s",
    ):
        assert part in lines


def test_the_files_hold_the_results_and_every_survivor(results: SuiteResults, tmp_path: Path):
    json_file, markdown = write_suite(results, tmp_path)
    assert json.loads(json_file.read_text()) == json.loads(json.dumps(msgspec.to_builtins(results)))
    text = markdown.read_text()
    assert "| `a.py` | 3 | 1 | 33.3 %" in text
    assert "### `tir.y@0123456789abcdef#0`" in text
    assert "```diff\n-before\n+after\n```" in text
    assert "`b.py::two`" in text.partition("pass with every store removed (1)")[2]


def test_a_flaky_test_is_listed_apart_from_tests_that_fail_or_check_no_value(results: SuiteResults, tmp_path: Path):
    *others, silent, failing = results.tests
    flaky = (replace(row, flaky="passed, crash in 2 runs", reliable=False) for row in (silent, failing))
    found = replace(results, tests=(*others, *flaky))
    markdown = write_suite(found, tmp_path)[1].read_text()
    assert "(in no score) (2)\n\n* `b.py::three`: passed, crash in 2 runs\n* `b.py::four`" in markdown
    console = Console(file=io.StringIO(), width=110, highlight=False)
    with console.capture() as capture:
        console.print(*render_suite(found))
    for text in (markdown, capture.get()):
        assert "fail without a fault" not in text
        assert text.count("four") == 1


def test_results_that_the_schema_does_not_allow_are_not_written(results: SuiteResults, tmp_path: Path):
    odd = replace(results, mutants=(replace(results.mutants[0], verdict="maybe"),))
    with pytest.raises(ValueError, match="maybe"):
        write_suite(odd, tmp_path)
    assert not list(tmp_path.iterdir())

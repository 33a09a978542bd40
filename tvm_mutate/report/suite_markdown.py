"""The report of a suite as Markdown, with every survivor and its difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tvm_mutate.report.suite_score import SuiteScores, idle_tests, silent_tests, suite_scores
from tvm_mutate.report.tables import percent
from tvm_mutate.report.tally import Score
from tvm_mutate.results import write_whole
from tvm_mutate.suite import TestOutcome
from tvm_mutate.suite.results import Row, SuiteResults
from tvm_mutate.suite.verdicts import SURVIVED

FILE_NAME = "suite.md"


def write_suite_markdown(results: SuiteResults, folder: str | Path) -> Path:
    """Writes ``suite.md`` into the folder; returns its path. Raises UsageError where it cannot be written."""
    return write_whole(Path(folder) / FILE_NAME, (f"{line}\n" for line in _lines(results)))


def _lines(results: SuiteResults) -> Iterator[str]:
    scores = suite_scores(results)
    yield "# What the test-suite notices"
    yield from ("", f"Mutation score: {_score(scores.overall)}", "")
    yield from _tests("Tests that run kernels and pass with every store removed", _running(silent_tests(results)))
    yield from _tests("Tests that build kernels and run none of them", idle_tests(results))
    yield from _tests("Tests that fail without a fault", [r for r in results.tests if TestOutcome(r["outcome"]).kills])
    yield from _scores("By file", "file", scores.by_file)
    yield from _scores("By operator", "operator", scores.by_operator)
    yield from _matrix(scores)
    yield from _scores("By test", "test", scores.by_test)
    if scores.compiler.decided:
        yield from ("## Faults in the compiler's list of passes (in no score)", "")
        yield from (f"* `{row['id']}`: {row['verdict']}" for row in results.mutants if row["slot"] == "pipeline")
        yield ""
    yield from ("## Survivors", "")
    for row in results.mutants:
        if row["verdict"] == SURVIVED:
            yield from _survivor(row)
    if results.operators_without_site:
        yield from (
            "## Operators without a site",
            "",
            ", ".join(f"`{name}`" for name in results.operators_without_site),
        )


def _running(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["kernels_executed"]]


def _tests(title: str, rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        yield from (f"## {title} ({len(rows)})", "")
        yield from (f"* `{row['test']}`{': ' + row['reason'] if row['reason'] else ''}" for row in rows)
        yield ""


def _scores(title: str, name: str, scores: Mapping[str, Score]) -> Iterator[str]:
    if scores:
        yield from (f"## {title}", "", f"| {name} | mutants | killed | score |", "|---|---|---|---|")
        for group, score in scores.items():
            yield f"| `{group}` | {score.decided} | {score.killed} | {_score(score)} |"
        yield ""


def _matrix(scores: SuiteScores) -> Iterator[str]:
    files = list(scores.by_file)
    if len(files) < 2:
        return
    yield from ("## By operator and file (killed/mutants)", "")
    yield f"| operator | {' | '.join(f'`{file}`' for file in files)} |"
    yield "|---" * (len(files) + 1) + "|"
    for operator in scores.by_operator:
        cells = [scores.by_operator_and_file.get((operator, file)) for file in files]
        yield f"| `{operator}` | {' | '.join(f'{s.killed}/{s.decided}' if s else '' for s in cells)} |"
    yield ""


def _survivor(row: Row) -> Iterator[str]:
    yield from (f"### `{row['id']}`", "", f"Kernel `{row['name']}`: **{row['reason'] or 'unknown'}**", "")
    if row["before"]:
        yield from (f"`{row['before']}` becomes `{row['after']}`", "")
    yield from (f"Covered by {', '.join(f'`{test}`' for test in row['covering'])}", "")
    yield from ("```diff", row["difference"], "```", "")


def _score(score: Score) -> str:
    if score.value is None:
        return "none"
    return f"{percent(score.value)} % (95 % interval {percent(score.interval[0])} to {percent(score.interval[1])} %)"

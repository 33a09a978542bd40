"""The reports of a test-suite: its scores, the report for a terminal, and the report as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tvm_mutate.report.tables import percent, report_table, texts
from tvm_mutate.results import (
    Score,
    SuiteMode,
    SuiteMutantRow,
    SuiteResults,
    SuiteTestRow,
    SuiteVerdict,
    SurvivalReason,
    TestOutcome,
    score_of,
    write_suite_json,
    write_whole,
)

_MARKDOWN_FILE = "suite.md"
_MOST_SURVIVORS = 10
_MOST_TESTS = 30


@dataclass(frozen=True)
class SuiteScores:
    """The scores of the mutants of kernels; ``compiler`` is the score of faults in the compiler's list of passes.

    A mutant counts for each file and each test that ran with the mutant, and as killed for the one that killed it.
    Tests run until one kills: a mutant does not count for the tests after that.
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
    kernels = [row for row in results.mutants if not row.is_compiler_fault]
    files = {row.test: row.file for row in results.tests}
    tried = [(row, trial) for row in kernels for trial in row.trials if trial.applied]
    killed = [(row, trial.test, trial.kind.kills) for row, trial in tried]
    return SuiteScores(
        overall=results.score,
        compiler=score_of(row.verdict for row in results.mutants if row.is_compiler_fault),
        by_file=_scores((files[test], row.id, kills) for row, test, kills in killed),
        by_test=_scores((test, row.id, kills) for row, test, kills in killed),
        by_operator={
            name: score_of(row.verdict for row in kernels if row.operator == name)
            for name in sorted({row.operator for row in kernels})
        },
        by_operator_and_file=_scores(((row.operator, files[test]), row.id, kills) for row, test, kills in killed),
        kinds=dict(Counter(str(row.kind) for row in kernels if row.verdict is SuiteVerdict.KILLED)),
        reasons=dict(Counter(row.reason for row in kernels if row.verdict is not SuiteVerdict.KILLED and row.reason)),
    )


def silent_tests(results: SuiteResults) -> list[SuiteTestRow]:
    """The tests that pass with every store of their kernels removed; flaky tests are left out."""
    return [row for row in results.tests if row.vanished is TestOutcome.PASSED and not row.flaky]


def idle_tests(results: SuiteResults) -> list[SuiteTestRow]:
    """The tests that pass, build kernels, and run none of them."""
    passed = _with_outcome(results, TestOutcome.PASSED)
    return [row for row in passed if row.kernels and row.kernels_executed == 0 and not row.kernels_unknown]


def write_suite(results: SuiteResults, folder: str | Path) -> tuple[Path, Path]:
    """Writes ``suite.json`` and ``suite.md``; returns their paths. Raises UsageError if a file cannot be written."""
    json_file = write_suite_json(results, folder)
    return json_file, write_whole(Path(folder) / _MARKDOWN_FILE, (f"{line}\n" for line in _markdown(results)))


def render_suite(results: SuiteResults) -> list[RenderableType]:
    """The report of a suite for ``rich.print``, made for 100 columns; without the line of the score."""
    parts: list[RenderableType] = [_recorded(results), *_left_out(results)]
    parts += _listed("Tests that build kernels and run none of them", _built(idle_tests(results)))
    if results.settings.mode is not SuiteMode.RECORD:
        parts += _canaries(results)
    if results.settings.mutants:
        parts += [part for row in results.mutants for part in _requested(row)]
    elif results.settings.mode is SuiteMode.RUN:
        parts += _judged(results)
    parts.append(_effort(results))
    return [line for part in parts for line in (part, Text())][:-1]


def _scores(tried: Iterable[tuple[Any, str, bool]]) -> dict[Any, Score]:
    """The score of each group, from ``(group, mutant, killed)``; a mutant counts once in a group."""
    killed: dict[Any, dict[str, bool]] = {}
    for group, mutant, kills in tried:
        mutants = killed.setdefault(group, {})
        mutants[mutant] = mutants.get(mutant, False) or kills
    return {group: Score(sum(mutants.values()), len(mutants)) for group, mutants in sorted(killed.items())}


def _with_outcome(results: SuiteResults, outcome: TestOutcome) -> list[SuiteTestRow]:
    return [row for row in results.tests if row.outcome is outcome]


def _running(rows: Iterable[SuiteTestRow]) -> list[SuiteTestRow]:
    return [row for row in rows if row.kernels_executed]


def _survivors(results: SuiteResults) -> list[SuiteMutantRow]:
    return [row for row in results.mutants if row.verdict is SuiteVerdict.SURVIVED]


# The report for a terminal


def _recorded(results: SuiteResults) -> RenderableType:
    passed = _with_outcome(results, TestOutcome.PASSED)
    built = [row for row in passed if row.kernels]
    return Text(
        f"{_counted(results.tests, 'test')}, {len(passed)} of them pass unmutated; {len(built)} of these build kernels "
        f"and {len(_running(built))} run some that they build. {_counted(results.kernels, 'kernel')}, "
        f"{sum(bool(row.run_by) for row in results.kernels)} of them run; "
        f"{sum(row.sites for row in results.kernels)} sites of the operators' variants."
    )


def _left_out(results: SuiteResults) -> Iterator[RenderableType]:
    """The tests that judge no mutant, and why."""
    steady = [row for row in results.tests if not row.flaky]
    failed = [(row.test, f"{row.outcome}: {row.reason}") for row in steady if row.outcome.kills]
    failed += [
        (row.test, f"fails with a mutant that changes nothing: {row.no_op}") for row in steady if row.reliable is False
    ]
    yield from _listed("Left out: tests that fail without a fault", failed)
    flaky = [(row.test, row.flaky) for row in results.tests if row.flaky]
    yield from _listed("Left out: flaky tests, which end differently without a fault", flaky)
    if skipped := _with_outcome(results, TestOutcome.SKIPPED):
        yield Text(f"{_counted(skipped, 'test')} skipped.")
    unknown = [(row.test, row.obstacle) for row in results.tests if row.obstacle]
    yield from _listed("Unknown whether they run their kernels: tests that fail with instrumented kernels", unknown)


def _built(rows: Iterable[SuiteTestRow]) -> list[tuple[str, str]]:
    return [(row.test, f"{_number(row.kernels, 'kernel')} built") for row in rows]


def _canaries(results: SuiteResults) -> Iterator[RenderableType]:
    checked = [row for row in results.tests if row.vanished is not None and not row.flaky]
    silent = silent_tests(results)
    noticing = len(checked) - len(silent)
    yield Text(f"Of {_counted(checked, 'test')} with stores to remove, {noticing} notice that they are gone.")
    rows = [(row.test, f"{_number(row.kernels_executed or 0, 'kernel')} run") for row in _running(silent)]
    yield from _listed("Tests that check no value: they run kernels and pass with every store removed", rows)


def _judged(results: SuiteResults) -> Iterator[RenderableType]:
    scores = suite_scores(results)
    if scores.by_file:
        yield _file_table(scores)
        yield _operator_table(scores)
        yield Text("\n".join(f"[{number}] {file}" for number, file in enumerate(scores.by_file, 1)))
    if scores.compiler.decided:
        yield _compiler_table(results)
    yield _survivor_table(results, scores)
    if results.operators_without_site:
        yield Text(f"Operators without a site in the suite: {', '.join(results.operators_without_site)}")
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(scores.kinds.items()))
    yield Text(f"Killed by {kinds or 'nothing'}")


def _file_table(scores: SuiteScores) -> Table:
    columns = ("mutants", "killed", "score %", "95 % interval")
    table = report_table("By file: mutants that its tests were run with", ("file",), columns)
    for file, score in scores.by_file.items():
        interval = f"{percent(score.interval[0])} to {percent(score.interval[1])}" if score.decided else "-"
        table.add_row(*texts(file, str(score.decided), str(score.killed), percent(score.value), interval))
    return table


def _operator_table(scores: SuiteScores) -> Table:
    """The operators by file; the columns are numbers, because the names of files are long."""
    numbers = [f"[{number}]" for number in range(1, len(scores.by_file) + 1)]
    table = report_table("By operator and file: killed/mutants", ("operator",), ("all", *numbers))
    for operator, score in scores.by_operator.items():
        cells = [score, *(scores.by_operator_and_file.get((operator, file)) for file in scores.by_file)]
        table.add_row(*texts(operator, *(f"{s.killed}/{s.decided}" if s and s.decided else "-" for s in cells)))
    return table


def _compiler_table(results: SuiteResults) -> Table:
    table = report_table("Faults in the compiler's own list of passes, which are in no score", ("fault", "verdict"))
    for row in results.mutants:
        if row.is_compiler_fault:
            by = f"{row.verdict} by {row.killer} ({row.kind})" if row.killer else str(row.verdict)
            table.add_row(*texts(row.id, by))
    return table


def _survivor_table(results: SuiteResults, scores: SuiteScores) -> RenderableType:
    order = [str(reason) for reason in SurvivalReason]
    survivors = [row for row in _survivors(results) if not row.is_compiler_fault]
    survivors.sort(key=lambda row: order.index(row.reason))
    if not survivors:
        return Text("No mutant survived.")
    reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(scores.reasons.items()))
    more = f", {_MOST_SURVIVORS} of them shown" if len(survivors) > _MOST_SURVIVORS else ""
    table = report_table(f"Survivors: {len(survivors)}{more} ({reasons})", ("mutant and location", "reason"))
    for row in survivors[:_MOST_SURVIVORS]:
        table.add_row(*texts(f"{row.id}\n  {row.name}: {row.before}\n  -> {row.after}", _why(row)))
    return table


def _requested(row: SuiteMutantRow) -> Iterator[RenderableType]:
    """A mutant that was requested by its id: its difference, and how each test ended with the mutant."""
    yield Text(row.difference)
    table = report_table(f"{row.id} ({row.name}): {row.verdict}", ("test", "ended", "seconds"))
    for trial in row.trials:
        table.add_row(*texts(trial.test, str(trial.kind), f"{trial.seconds:.2f}"))
    yield table
    yield Text(row.reason)


def _effort(results: SuiteResults) -> RenderableType:
    effort = results.effort
    seconds = {
        "recording": effort.seconds_recording,
        "canaries": effort.seconds_canaries,
        "judging": effort.seconds_judging,
    }
    spent = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items() if value)
    if results.settings.mode is SuiteMode.RECORD:
        return Text(spent)
    out = f"; {_number(effort.mutants_left_out, 'mutant')} left out" if effort.mutants_left_out else ""
    return Text(f"{effort.trials} runs of tests, {effort.trials_reused} more from the cache{out}; {spent}")


def _listed(title: str, rows: Sequence[tuple[str, str]]) -> list[Text]:
    """The title with the first rows under it; nothing without a row."""
    if not rows:
        return []
    shown = rows[:_MOST_TESTS]
    more = f", {_MOST_TESTS} shown" if len(rows) > _MOST_TESTS else ""
    width = max(len(name) for name, _ in shown)
    lines = [f"\n  {name.ljust(width)}  {detail}" for name, detail in shown]
    return [Text.assemble((f"{title} ({len(rows)}{more})", "bold"), *lines)]


def _counted(rows: Sequence[object], what: str) -> str:
    return _number(len(rows), what)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


# The report as Markdown


def _markdown(results: SuiteResults) -> Iterator[str]:
    scores = suite_scores(results)
    yield from ("# What the test-suite notices", "", f"Mutation score: {_score_text(scores.overall)}", "")
    silent = _running(silent_tests(results))
    yield from _test_list("Tests that check no value: they run kernels and pass with every store removed", silent)
    yield from _test_list("Tests that build kernels and run none of them", idle_tests(results))
    failed = [row for row in results.tests if row.outcome.kills and not row.flaky]
    yield from _test_list("Tests that fail without a fault", failed)
    flaky = [replace(row, reason=row.flaky) for row in results.tests if row.flaky]
    yield from _test_list("Flaky tests, which end differently without a fault (in no score)", flaky)
    yield from _score_list("By file", "file", scores.by_file)
    yield from _score_list("By operator", "operator", scores.by_operator)
    yield from _matrix(scores)
    yield from _score_list("By test", "test", scores.by_test)
    if scores.compiler.decided:
        yield from ("## Faults in the compiler's list of passes (in no score)", "")
        yield from (f"* `{row.id}`: {row.verdict}" for row in results.mutants if row.is_compiler_fault)
        yield ""
    yield from ("## Survivors", "")
    for row in _survivors(results):
        yield from _survivor(row)
    if results.operators_without_site:
        names = ", ".join(f"`{name}`" for name in results.operators_without_site)
        yield from ("## Operators without a site", "", names)


def _test_list(title: str, rows: Sequence[SuiteTestRow]) -> Iterator[str]:
    if rows:
        yield from (f"## {title} ({len(rows)})", "")
        yield from (f"* `{row.test}`{': ' + row.reason if row.reason else ''}" for row in rows)
        yield ""


def _score_list(title: str, name: str, scores: Mapping[str, Score]) -> Iterator[str]:
    if scores:
        yield from (f"## {title}", "", f"| {name} | mutants | killed | score |", "|---|---|---|---|")
        for group, score in scores.items():
            yield f"| `{group}` | {score.decided} | {score.killed} | {_score_text(score)} |"
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


def _why(row: SuiteMutantRow) -> str:
    """Why a mutant survives, and whether its behaviour is undefined."""
    return "; undefined: ".join(filter(None, (row.reason or "unknown", ", ".join(row.undefined))))


def _survivor(row: SuiteMutantRow) -> Iterator[str]:
    yield from (f"### `{row.id}`", "", f"Kernel `{row.name}`: **{_why(row)}**", "")
    if row.before:
        yield from (f"`{row.before}` becomes `{row.after}`", "")
    yield from (f"Covered by {', '.join(f'`{test}`' for test in row.covering)}", "")
    yield from ("```diff", row.difference, "```", "")


def _score_text(score: Score) -> str:
    if score.value is None:
        return "none"
    return f"{percent(score.value)} % (95 % interval {percent(score.interval[0])} to {percent(score.interval[1])} %)"

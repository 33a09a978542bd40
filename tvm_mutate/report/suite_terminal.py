"""The report of a suite for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tvm_mutate.report.suite_score import SuiteScores, idle_tests, silent_tests, suite_scores
from tvm_mutate.report.tables import percent, report_table, score_line, texts
from tvm_mutate.report.tally import Score
from tvm_mutate.suite import RECORD, RUN, TestOutcome
from tvm_mutate.suite.results import Row, SuiteResults
from tvm_mutate.suite.verdicts import CANCELS_OUT, NEVER_RUN, SURVIVED, UNCHANGED_VALUES, WITHIN_TOLERANCE

_MOST_SURVIVORS = 10
_MOST_TESTS = 30
# The reasons that tell most of a suite, first.
_TELLING = (WITHIN_TOLERANCE, CANCELS_OUT, UNCHANGED_VALUES, NEVER_RUN)


def render_suite(results: SuiteResults) -> list[RenderableType]:
    """The report of a suite for ``rich.print``, made for 100 columns."""
    parts: list[RenderableType] = [_recorded(results), *_left_out(results), *_idle(results)]
    if results.settings["mode"] != RECORD:
        parts += _canaries(results)
    if results.settings["mutants"]:
        parts += [part for row in results.mutants for part in _replayed(row)]
    elif results.settings["mode"] == RUN:
        parts += _judged(results)
    parts.append(_effort(results))
    return [line for part in parts for line in (part, Text())][:-1]


def _recorded(results: SuiteResults) -> RenderableType:
    passed = _with_outcome(results, TestOutcome.PASSED)
    sites = sum(row["sites"] for row in results.kernels)
    built = [row for row in passed if row["kernels"]]
    running = [row for row in built if row["kernels_executed"]]
    return Text(
        f"{_counted(results.tests, 'test')}, {len(passed)} of them pass unmutated; {len(built)} of these build kernels "
        f"and {len(running)} run some that they build. {_counted(results.kernels, 'kernel')}, "
        f"{sum(bool(row['run_by']) for row in results.kernels)} of them run; {sites} sites of the operators' variants."
    )


def _left_out(results: SuiteResults) -> list[RenderableType]:
    """The tests that cannot be asked, and why."""
    rows = [
        (row["test"], f"{row['outcome']}: {row['reason']}")
        for row in results.tests
        if TestOutcome(row["outcome"]).kills
    ]
    rows += [
        (row["test"], f"fails with a no-op, too: {row['no_op']}") for row in results.tests if row["reliable"] is False
    ]
    parts: list[RenderableType] = []
    if rows:
        parts.append(_listed("Left out: tests that fail without a fault", rows))
    skipped = _with_outcome(results, TestOutcome.SKIPPED)
    if skipped:
        parts.append(Text(f"{_counted(skipped, 'test')} skipped."))
    unknown = [(row["test"], row["obstacle"]) for row in results.tests if row["obstacle"]]
    if unknown:
        parts.append(
            _listed("Not known whether they run their kernels: tests that fail with kernels that tell", unknown)
        )
    return parts


def _idle(results: SuiteResults) -> list[RenderableType]:
    rows = [(row["test"], f"{_number(row['kernels'], 'kernel')} built") for row in idle_tests(results)]
    return [_listed("Tests that build and run nothing of it", rows)] if rows else []


def _canaries(results: SuiteResults) -> list[RenderableType]:
    asked = [row for row in results.tests if row["vanished"] is not None]
    silent = silent_tests(results)
    noticing = len(asked) - len(silent)
    parts: list[RenderableType] = [
        Text(f"Of {_counted(asked, 'test')} with stores to remove, {noticing} notice that they are gone.")
    ]
    running = [row for row in silent if row["kernels_executed"]]
    rows = [(row["test"], f"{_number(row['kernels_executed'], 'kernel')} run") for row in running]
    if rows:
        parts.append(_listed("Tests that run kernels and notice nothing: they pass with every store removed", rows))
    return parts


def _judged(results: SuiteResults) -> list[RenderableType]:
    scores = suite_scores(results)
    parts: list[RenderableType] = []
    if scores.by_file:
        parts += [_score_table("By file: mutants that its tests were run with", "file", scores.by_file)]
        parts += [_operator_table(scores), _numbered(scores)]
    if scores.compiler.decided:
        parts += [_compiler_table(results)]
    parts += [_survivors(results, scores)]
    if results.operators_without_site:
        parts.append(Text(f"Operators without a site in the suite: {', '.join(results.operators_without_site)}"))
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(scores.kinds.items()))
    parts.append(Text.assemble(score_line(scores.overall), f"\nKilled by {kinds or 'nothing'}"))
    return parts


def _score_table(title: str, name: str, scores: Mapping[str, Score]) -> Table:
    table = report_table(title, (name,), ("mutants", "killed", "score %", "95 % interval"))
    for group, score in scores.items():
        table.add_row(*texts(group, str(score.decided), str(score.killed), percent(score.value), _interval(score)))
    return table


def _operator_table(scores: SuiteScores) -> Table:
    """The operators by file; files are numbered, for their names are long."""
    files = list(scores.by_file)
    numbers = [f"[{number}]" for number in range(1, len(files) + 1)]
    table = report_table("By operator and file: killed/mutants", ("operator",), ("all", *numbers))
    for operator, score in scores.by_operator.items():
        cells = [scores.by_operator_and_file.get((operator, file)) for file in files]
        table.add_row(*texts(operator, *(_share(cell) for cell in (score, *cells))))
    return table


def _numbered(scores: SuiteScores) -> Text:
    return Text("\n".join(f"[{number}] {file}" for number, file in enumerate(scores.by_file, 1)))


def _compiler_table(results: SuiteResults) -> Table:
    table = report_table("Faults in the compiler's own list of passes, which are in no score", ("fault", "verdict"))
    for row in results.mutants:
        if row["slot"] == "pipeline":
            by = f"{row['verdict']} by {row['killer']} ({row['kind']})" if row["killer"] else row["verdict"]
            table.add_row(*texts(row["id"], by))
    return table


def _survivors(results: SuiteResults, scores: SuiteScores) -> RenderableType:
    survivors = [row for row in results.mutants if row["verdict"] == SURVIVED and row["slot"] != "pipeline"]
    survivors.sort(key=lambda row: _TELLING.index(row["reason"]) if row["reason"] in _TELLING else len(_TELLING))
    if not survivors:
        return Text("No mutant survived.")
    reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(scores.reasons.items()))
    more = f", {_MOST_SURVIVORS} of them shown" if len(survivors) > _MOST_SURVIVORS else ""
    table = report_table(f"Survivors: {len(survivors)}{more} ({reasons})", ("mutant, and where it is", "reason"))
    for row in survivors[:_MOST_SURVIVORS]:
        where = f"{row['id']}\n  {row['name']}: {row['before']}\n  -> {row['after']}"
        table.add_row(*texts(where, row["reason"]))
    return table


def _replayed(row: Row) -> list[RenderableType]:
    """A mutant that was asked for by its id: its difference, and how each test ended with it."""
    table = report_table(f"{row['id']} ({row['name']}): {row['verdict']}", ("test", "ended", "seconds"))
    for trial in row["trials"]:
        table.add_row(*texts(trial["test"], trial["kind"], f"{trial['seconds']:.2f}"))
    return [Text(row["difference"]), table, Text(row["reason"])]


def _effort(results: SuiteResults) -> RenderableType:
    effort = results.effort
    seconds = {name.removeprefix("seconds_"): effort[name] for name in effort if name.startswith("seconds_")}
    spent = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items() if value)
    if results.settings["mode"] == RECORD:
        return Text(spent)
    out = f"; {_number(effort['mutants_left_out'], 'mutant')} left out" if effort["mutants_left_out"] else ""
    return Text(f"{effort['trials']} runs of tests, {effort['trials_reused']} more from the cache{out}; {spent}")


def _listed(title: str, rows: Sequence[tuple[str, str]]) -> Text:
    """A title with the first rows under it."""
    more = f", {_MOST_TESTS} shown" if len(rows) > _MOST_TESTS else ""
    width = max(len(name) for name, _ in rows[:_MOST_TESTS])
    lines = [f"\n  {name.ljust(width)}  {told}" for name, told in rows[:_MOST_TESTS]]
    return Text.assemble((f"{title} ({len(rows)}{more})", "bold"), *lines)


def _with_outcome(results: SuiteResults, kind: TestOutcome) -> list[Row]:
    return [row for row in results.tests if row["outcome"] == str(kind)]


def _counted(rows: Sequence[object], what: str) -> str:
    return _number(len(rows), what)


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _share(score: Score | None) -> str:
    return f"{score.killed}/{score.decided}" if score is not None and score.decided else "-"


def _interval(score: Score) -> str:
    return f"{percent(score.interval[0])} to {percent(score.interval[1])}" if score.decided else "-"

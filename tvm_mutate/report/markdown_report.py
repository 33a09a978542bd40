"""The report ``report.md`` for a pull request: score, difference from a base, the ten worst survivors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tvm_mutate.report.comparison import Comparison
from tvm_mutate.report.findings import Report
from tvm_mutate.report.tables import percent, score_line
from tvm_mutate.results import write_whole

FILE = "report.md"
_MOST = 10


def write_markdown(report: Report, folder: Path) -> list[Path]:
    """Writes the report into the folder; returns its path. Raises UsageError if the file cannot be written."""
    return [write_whole(folder / FILE, [line + "\n" for line in markdown(report)])]


def markdown(report: Report) -> Iterator[str]:
    """The lines of the report."""
    yield f"### Mutants of {_inline(report.title)}"
    yield ""
    yield f"**{score_line(report.score).plain}**"
    yield ""
    counts = Counter(each.status for each in report.findings)
    yield ", ".join(f"{number} {status}" for status, number in counts.most_common()) or "no mutants"
    if report.change:
        yield from _change(report.change)
    survivors = report.survivors
    if not survivors:
        return
    yield ""
    yield "| survivor | in | how far | how to see it |"
    yield "|---|---|---|---|"
    for each in survivors[:_MOST]:
        cells = (_code(each.key), _code(f"{each.place.file}:{each.place.first}"), each.rung or each.reason)
        yield f"| {' | '.join(map(_cell, cells))} | {_cell(_code(each.command))} |"
    if len(survivors) > _MOST:
        yield ""
        yield f"{len(survivors) - _MOST} more survived."


def _change(change: Comparison) -> Iterator[str]:
    yield ""
    yield f"Score before: {percent(change.before.value)} %, now {percent(change.after.value)} %."
    for title, rows in (
        ("Newly surviving", change.newly_surviving),
        ("Newly killed", change.newly_killed),
        ("Gone", change.gone),
        ("New", change.added),
    ):
        yield ""
        shown = ", ".join(_code(row.id) for row in rows[:_MOST])
        more = f", {len(rows) - _MOST} more" if len(rows) > _MOST else ""
        yield f"{title}: {len(rows)}{f' ({shown}{more})' if rows else ''}"


def _code(text: str) -> str:
    fence = "`" * (1 + max(map(len, "".join(each if each == "`" else " " for each in text).split()), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _inline(text: str) -> str:
    return "".join(f"\\{each}" if each in r"\`*_{}[]<>()#+!|" else each for each in text)

"""The tables of the terminal report, one function a table.

Cells are :class:`~rich.text.Text`, for ids may hold brackets, which rich would take for markup. Nothing is cut off:
what is too long goes on in the next line of its cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from tvm_mutate.report.discrepancy import Discrepancy
from tvm_mutate.report.tally import Tally
from tvm_mutate.results import CanaryRow, MutantRow, Score

_FIGURES = ("mutants", "dissim. %", "degraded", "crashed", "no build", "equiv.", "n/a")
_VERDICTS = ("mutants", "killed", "survived", "equiv.", "other", "score %", "95 % interval")


def canary_table(rows: Iterable[CanaryRow]) -> Table:
    """The verdict of each canary on each model and device; one that is not as foreseen is marked ``WRONG``."""
    rows = list(rows)
    names = list(dict.fromkeys(row.canary for row in rows))
    places: dict[tuple[str, str], dict[str, CanaryRow]] = {}
    for row in rows:
        places.setdefault((row.model, row.device), {})[row.canary] = row
    table = report_table("Canaries", ("model", "device", *names))
    for (model, device), found in places.items():
        table.add_row(*texts(model, device), *(_canary(found.get(name)) for name in names))
    return table


def category_table(title: str, tallies: Mapping[tuple[str, str], Tally]) -> Table:
    """The figures of one model (or of all) by category and, under each, by device."""
    table = report_table(title, ("category / device",), _FIGURES)
    above: str | None = None
    for (category, device), tally in tallies.items():
        if category != above:
            table.add_row(Text(category, style="bold"))
            above = category
        table.add_row(Text(f"  {device}"), *texts(*_figures(tally)))
    return table


def verdict_table(tallies: Mapping[str, Tally], total: Tally, title: str = "Verdicts") -> Table:
    """The verdicts and the mutation score of each device, and of all."""
    table = report_table(title, ("device",), _VERDICTS)
    for device, tally in tallies.items():
        table.add_row(Text(device), *texts(*_verdicts(tally)))
    if len(tallies) > 1:
        table.add_section()
        table.add_row(Text("all"), *texts(*_verdicts(total)), style="bold")
    return table


def discrepancy_table(discrepancies: Iterable[Discrepancy]) -> Table:
    """The mutants that two devices label most differently, with their behaviour below the model."""
    names = ("inputs %", "beyond %")
    table = report_table("Worst discrepancies between devices", ("mutant", "model", "devices"), names)
    for each in discrepancies:
        devices, shares = "\n".join(each.devices), map(percent, (each.share, each.beyond_share))
        model = f"{each.model}\n({each.behaviour})"  # no column of its own: ids need the width
        table.add_row(*texts(each.id, model, devices, *shares))
    return table


def mutant_table(rows: Iterable[MutantRow]) -> Table:
    """Mutants on their devices: how far each got, and why it was judged as it was."""
    table = report_table("Surviving mutants", ("mutant", "model", "device", "rung"))
    for row in rows:
        table.add_row(*texts(row.id, row.model, row.device, str(row.rung or "-")))
    return table


def score_line(score: Score) -> Text:
    """The mutation score with its interval, in one line."""
    if score.value is None:
        return Text("Mutation score: none, for no mutant was killed and none survived")
    low, high = map(percent, score.interval)
    interval = f"95 % interval {low} to {high} %"
    return Text(
        f"Mutation score {percent(score.value)} % ({score.killed} of {score.decided} killed; {interval})", "bold"
    )


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal, ``-`` for None; 0.0 and 100.0 are said of nothing else."""
    if share is None:
        return "-"
    text = f"{100 * share:.1f}"
    if text == "0.0" and share > 0:
        return "<0.1"
    return ">99.9" if text == "100.0" and share < 1 else text


def report_table(title: str, left: Sequence[str], right: Sequence[str] = ()) -> Table:
    """A table with columns of text on the left and columns of figures on the right."""
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        collapse_padding=True,
    )
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", overflow="fold", no_wrap=True)
    return table


def _canary(row: CanaryRow | None) -> Text:
    if row is None:
        return Text("-")
    verdict = str(row.verdict or "no verdict")
    return Text(verdict, style="green") if row.ok else Text(f"{verdict}: WRONG", style="bold red")


def texts(*cells: str) -> list[Text]:
    """The cells of a row."""
    return [Text(cell) for cell in cells]


def _figures(tally: Tally) -> list[str]:
    counts = (tally.degraded, tally.crashed, tally.compile_errors, tally.equivalent, tally.not_applicable)
    return [str(tally.mutants), percent(tally.mean_dissimilarity), *map(str, counts)]


def _verdicts(tally: Tally) -> list[str]:
    score = tally.score
    other = tally.no_coverage + tally.without_verdict
    counts = (tally.mutants, tally.killed, tally.survived, tally.equivalent, other)
    interval = " to ".join(map(percent, score.interval)) if score.decided else "-"
    return [*map(str, counts), percent(score.value), interval]

"""Helpers for the tables of terminal reports: cells, percentages, the line with the score.

Cells are :class:`~rich.text.Text`, because rich would read the brackets of ids as markup. Nothing is cut off: long text
continues on the next line of its cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from tvm_mutate.results import Score


def score_line(score: Score) -> Text:
    """The mutation score with its interval, in one line."""
    if score.value is None:
        return Text("Mutation score: none, for no mutant was killed and none survived")
    low, high = map(percent, score.interval)
    interval = f"95 % interval {low} to {high} %"
    return Text(
        f"Mutation score {percent(score.value)} % ({score.killed} of {score.decided} killed; {interval})", "bold"
    )


def interval_text(score: Score) -> str:
    """The interval of a score in percent, ``-`` without mutants."""
    return " to ".join(map(percent, score.interval)) if score.decided else "-"


def whole_line(text: str) -> Group:
    """A line that is printed whole, however long: an id or a command, to be copied."""
    return Group(Text(text, no_wrap=True, overflow="ignore"))  # rich joins texts outside a group, and wraps them


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal, ``-`` for None; only exactly 0 and 1 are written 0.0 and 100.0."""
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


def texts(*cells: str) -> list[Text]:
    """The cells of a row."""
    return [Text(cell) for cell in cells]

"""Options and output that the measuring scripts have in common: plain text tables, and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from .machine import machine

MOST_LISTED = 20


def campaign_options(inputs: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options that say which campaign is measured, and where its results go."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(
            (
                click.option("--inputs", "--images", "inputs", default=inputs, show_default=True, help="How many."),
                click.option("--target", default="llvm", show_default=True, help="The device under test."),
                click.option("--seed", default=0, show_default=True, help="Seed of the sample of mutants."),
                click.option("--more", default="", help="More options of `run`, as one text: '--slots lowered'."),
                click.option("--keep", help="Keep the campaigns' outputs in this folder."),
                json_option,
            )
        ):
            function = option(function)
        return function

    return decorate


json_option = click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write the figures here, too.")


def begin(what: str) -> dict[str, Any]:
    """Says what is measured and on which machine; returns the report that the figures go into."""
    report = {"benchmark": what, "machine": machine()}
    click.echo(f"{what}: {report['machine']}")
    return report


def end(report: dict[str, Any], json_file: str | None) -> None:
    """Writes the report where it was asked for."""
    if json_file:
        Path(json_file).write_text(json.dumps(report, indent=2) + "\n")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of plain text: the first column to the left, figures to the right."""
    texts = [[_text(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]
    lines = ["  ".join(_placed(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
             for row in texts]  # fmt: skip
    return "\n".join("  " + line.rstrip() for line in (lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]))


def listed(title: str, lines: Sequence[str]) -> str:
    """A title with the first lines under it, and how many more there are; nothing for none."""
    if not lines:
        return ""
    left = len(lines) - MOST_LISTED
    shown = [*lines[:MOST_LISTED], *([f"... and {left} more"] if left > 0 else [])]
    return "\n".join([f"  {title}:", *(f"    {line}" for line in shown)])


def say(*texts: str) -> None:
    """Prints the texts that are not empty."""
    for text in filter(None, texts):
        click.echo(text)


def _text(cell: object) -> str:
    return f"{cell:.2f}" if isinstance(cell, float) else "-" if cell is None else str(cell)


def _placed(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)

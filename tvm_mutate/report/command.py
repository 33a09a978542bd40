"""The report of ``tvm-mutate test``: how the command ended with the mutants of each operator, and the survivors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import RenderableType
from rich.text import Text

from tvm_mutate.report.tables import percent, report_table, score_line, texts
from tvm_mutate.results import CommandOutcome, CommandResults, CommandRow, json_lines, score_of, write_whole
from tvm_mutate.suite.planning import short

FILE_NAME = "command.json"
_SHOWN = 20


def render_command(results: CommandResults) -> list[RenderableType]:
    """The report for ``rich.print``, made for 100 columns."""
    rows, compiler = ([row for row in results.rows if row.compiler is wanted] for wanted in (False, True))
    parts: list[RenderableType] = [
        Text(
            f"Unmutated: {results.baseline_seconds:.1f} s, builds: {results.builds}, kernels: {results.kernels}. "
            f"Mutants: {len(results.rows)}, of which {results.reused} from the journal."
        )
    ]
    if rows:
        parts.append(_table("What the command noticed", rows))
    if compiler:
        parts.append(_table("Faults of the compiler itself, in no mutation score", compiler))
    parts += [_survivors(results.rows), score_line(results.score)]
    return [line for part in parts for line in (part, Text())][:-1]


def write_command(results: CommandResults, folder: Path) -> Path:
    """Writes ``command.json``, with a row for each mutant; raises UsageError if the file cannot be written."""
    return write_whole(folder / FILE_NAME, json_lines(msgspec.to_builtins(results)))


def _table(title: str, rows: Sequence[CommandRow]) -> RenderableType:
    """The mutants of each operator by how the command ended with them."""
    table = report_table(title, ("operator",), ("mutants", *map(str, CommandOutcome), "score %"))
    operators = sorted({row.operator for row in rows})
    for name in [*operators, *(["all"] if len(operators) > 1 else [])]:
        chosen = [row for row in rows if name in (row.operator, "all")]
        counts = Counter(row.ended for row in chosen)
        score = score_of(row.ended.verdict for row in chosen)
        numbers = (len(chosen), *(counts[each] for each in CommandOutcome))
        table.add_row(*texts(name, *map(str, numbers), percent(score.value)))
    return table


def _survivors(rows: Sequence[CommandRow]) -> RenderableType:
    survivors = [row for row in rows if row.ended is CommandOutcome.SURVIVED]
    if not survivors:
        return Text("No mutant survived.")
    shown = f", {_SHOWN} of them shown" if len(survivors) > _SHOWN else ""
    table = report_table(f"Survivors: {len(survivors)}{shown}", ("TVM_MUTATE", "TVM_MUTATE_KERNEL"))
    for row in survivors[:_SHOWN]:
        table.add_row(*texts(row.mutant, short(row.kernel) or "-"))
    return table

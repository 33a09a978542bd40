"""The report on a command: what it noticed, operator by operator, and what it did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from tvm_mutate.report.tables import percent, report_table, score_line, texts
from tvm_mutate.results import Score, json_lines, write_whole
from tvm_mutate.suite.command import KILLED, NOT_APPLIED, SURVIVED, CommandResults, CommandRow, command_mapping
from tvm_mutate.suite.mutants import short

FILE_NAME = "command.json"
_SHOWN = 20
_ENDS = (*KILLED, SURVIVED, NOT_APPLIED)


def command_score(results: CommandResults) -> Score:
    """The score of a command: of the mutants that were applied, and are no faults of the compiler itself."""
    return _score([row for row in results.rows if not row.compiler])


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
    parts += _survivors(results.rows)
    parts.append(score_line(command_score(results)))
    return [line for part in parts for line in (part, Text())][:-1]


def write_command(results: CommandResults, folder: Path) -> Path:
    """Writes ``command.json``, with a row for each mutant; raises UsageError where it cannot be written."""
    return write_whole(folder / FILE_NAME, json_lines(command_mapping(results)))


def _score(rows: Iterable[CommandRow]) -> Score:
    ends = Counter(row.ended for row in rows)
    killed = sum(ends[end] for end in KILLED)
    return Score(killed, killed + ends[SURVIVED])


def _table(title: str, rows: Sequence[CommandRow]) -> RenderableType:
    """The mutants of each operator by how the command ended with them."""
    table = report_table(title, ("operator",), ("mutants", *_ENDS, "score %"))
    operators = sorted({row.operator for row in rows})
    for name in [*operators, *(["all"] if len(operators) > 1 else [])]:
        chosen = [row for row in rows if name in (row.operator, "all")]
        ends = Counter(row.ended for row in chosen)
        table.add_row(*texts(name, str(len(chosen)), *(str(ends[end]) for end in _ENDS), percent(_score(chosen).value)))
    return table


def _survivors(rows: Sequence[CommandRow]) -> list[RenderableType]:
    survivors = [row for row in rows if row.ended == SURVIVED]
    if not survivors:
        return [Text("No mutant survived.")]
    shown = f", {_SHOWN} of them shown" if len(survivors) > _SHOWN else ""
    table = report_table(f"Survivors: {len(survivors)}{shown}", ("TVM_MUTATE", "TVM_MUTATE_KERNEL"))
    for row in survivors[:_SHOWN]:
        table.add_row(*texts(row.mutant, short(row.kernel) or "-"))
    return [table]

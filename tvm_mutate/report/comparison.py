"""What changed between two campaigns: mutants that survive newly, are killed newly, are gone or new."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import RenderableType
from rich.text import Text

from tvm_mutate.oracle import Verdict
from tvm_mutate.report.tables import percent, score_line, whole_line
from tvm_mutate.results import MutantRow, Results, Score, check_same_oracles

_Rows = tuple[MutantRow, ...]


@dataclass(frozen=True)
class Comparison:
    """The mutants whose verdict differs between two campaigns, and both scores; rows are sorted by id.

    ``newly_surviving`` survive now and did not before, or were accepted before; ``newly_accepted`` are accepted now and
    were not before. A mutant that is in one campaign only
    is in ``gone`` or ``added``, whatever its verdict.
    """

    newly_surviving: _Rows
    newly_killed: _Rows
    newly_accepted: _Rows
    gone: _Rows
    added: _Rows
    before: Score
    after: Score


def compare(old: Results, new: Results) -> Comparison:
    """The comparison of two campaigns, mutant by mutant of each model and device.

    Raises UsageError for verdicts by different oracles.
    """
    check_same_oracles((old, new))
    before, after = ({row.key: row for row in sorted(each.mutants, key=lambda row: row.key)} for each in (old, new))

    both = [(before[key], row) for key, row in after.items() if key in before]
    return Comparison(
        newly_surviving=tuple(row for old, row in both if row.is_survivor and not old.is_survivor),
        newly_killed=tuple(
            row for old, row in both if row.verdict is Verdict.KILLED and old.verdict is not Verdict.KILLED
        ),
        newly_accepted=tuple(row for old, row in both if row.accepted is not None and old.accepted is None),
        gone=tuple(row for key, row in before.items() if key not in after),
        added=tuple(row for key, row in after.items() if key not in before),
        before=old.score,
        after=new.score,
    )


def render_comparison(found: Comparison) -> list[RenderableType]:
    """The comparison for ``rich.print``: a line for each mutant, both scores last."""
    parts: list[RenderableType] = []
    for title, rows in (
        ("Newly surviving", found.newly_surviving),
        ("Newly killed", found.newly_killed),
        ("Newly accepted, in no score", found.newly_accepted),
        ("Gone", found.gone),
        ("New", found.added),
    ):
        parts.append(Text(f"{title}: {len(rows)}", style="bold"))
        parts += [whole_line(f"  {row.id}  {row.model}  {row.device}  {row.verdict or row.outcome}") for row in rows]
    return [*parts, Text(f"before: {percent(found.before.value)} %"), score_line(found.after)]

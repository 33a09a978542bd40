"""The report for a terminal; it is plain text where the console is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import RenderableType
from rich.text import Text

from tvm_mutate.oracle import Verdict
from tvm_mutate.report.cross_devices import cross_devices
from tvm_mutate.report.device_tables import agreement_table, cross_table
from tvm_mutate.report.discrepancy import worst_discrepancies
from tvm_mutate.report.summary import Summary, summarize
from tvm_mutate.report.tables import (
    canary_table,
    category_table,
    discrepancy_table,
    mutant_table,
    score_line,
    verdict_table,
)
from tvm_mutate.results import MutantRow, Results

WORST_SHOWN = 10
_COMPILER = "Verdicts on faults of the compiler itself, in no mutation score"
_LEGEND = (
    "dissim. %: inputs with another label than golden, mean over completed mutants; degraded: any label changed; "
    "crashed: crash, timeout or exception; no build: compile error; n/a: no site in the model; "
    "other: no coverage, or no verdict."
)

_CROSS_LEGEND = (
    "raw: largest share of inputs with another label on the second device; defined, undefined, unknown: mutants that "
    "differ where the unmutated builds agree, by whether they access memory outside their buffers; scores: mutants "
    "with a score that differs by more than the unmutated builds'."
)


def render_summary(
    results: Results, operator_categories: Mapping[str, str], studies: Iterable[RenderableType] = ()
) -> list[RenderableType]:
    """The summary of a campaign for ``rich.print``: canaries, figures, discrepancies, tables of studies, the score.

    ``operator_categories`` names the category of each operator of the catalogue. The tables are made for 100
    columns.
    """
    summary = summarize(results, operator_categories)
    parts: list[RenderableType] = [
        canary_table(results.canaries),
        *_category_tables(summary),
        Text(_LEGEND, style="dim"),
        *_verdict_tables(summary),
        *_discrepancies(results, summary),
        *studies,
        score_line(summary.total.score),
    ]
    return [line for part in parts for line in (part, Text())][:-1]


def render_mutants(rows: Iterable[MutantRow], limit: int) -> list[RenderableType]:
    """The survivors among the rows, at most ``limit``, with a line that says how many there are."""
    survivors = [row for row in rows if row.verdict == Verdict.SURVIVED]
    if not survivors:
        return [Text("No mutant survived.")]
    counted = "1 mutant survived" if len(survivors) == 1 else f"{len(survivors)} mutants survived"
    shown = f"{counted}, {limit} of them shown." if len(survivors) > limit else f"{counted}."
    return [mutant_table(survivors[:limit]), Text(shown)]


def _verdict_tables(summary: Summary) -> list[RenderableType]:
    """The verdicts, those on faults of the compiler in a table of their own."""
    tables: list[RenderableType] = [verdict_table(summary.by_device, summary.total)] if summary.by_device else []
    if not summary.compiler_by_device:
        return tables or [verdict_table({}, summary.total)]
    return [*tables, verdict_table(summary.compiler_by_device, summary.compiler_total, _COMPILER)]


def _category_tables(summary: Summary) -> list[RenderableType]:
    models = list(dict.fromkeys(group.model for group in summary.groups))
    tables: list[RenderableType] = [
        category_table(
            f"Model {model}",
            {(group.category, group.device): group.tally for group in summary.groups if group.model == model},
        )
        for model in models
    ]
    return [*tables, category_table("All models", summary.by_category_and_device)] if len(models) > 1 else tables


def _discrepancies(results: Results, summary: Summary) -> list[RenderableType]:
    """The worst discrepancies, or a line that says there are none; nothing for a campaign on one device."""
    if len(results.devices) < 2:
        return []
    counted = "1 mutant" if summary.differing_outcomes == 1 else f"{summary.differing_outcomes} mutants"
    ended = Text(f"{counted} ended otherwise on one device than on another, as with a crash on one only.")
    worst = worst_discrepancies(results, WORST_SHOWN)
    none = Text("No mutant was labelled more differently by two devices than the unmutated model.")
    cross = cross_devices(results)
    tables: list[RenderableType] = [cross_table(cross), Text(_CROSS_LEGEND, style="dim")] if cross else []
    agreement = agreement_table(results.agreements, [row.name for row in results.devices])
    return [agreement, *tables, discrepancy_table(worst) if worst else none, ended]

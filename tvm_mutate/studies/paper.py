"""The figures of the MutateNN paper beside those of a campaign.

Source: N. Louloudakis, P. Gibson, J. Cano, A. Rajan, "MutateNN: Mutation Testing of Image Recognition Models
Deployed on Hardware Accelerators" (arXiv 2306.01697).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from tvm_mutate.mutant import Category
from tvm_mutate.report.discrepancies import BEHAVIOURS, completed_on_both, largest_by_category, worst_first
from tvm_mutate.report.tables import percent, report_table, texts
from tvm_mutate.results import DiscrepancyRow, Results

PAPER_DISCREPANCY = 0.903
PAPER_DEGRADATION = 0.998
PAPER_INPUTS = 5500
_DEGRADING = tuple(map(str, (Category.LAYER_NODE, Category.ARITHMETIC_TYPES, Category.NODE_INPUT_OUTPUT)))
_BEHAVIOURS = {
    "defined": "by mutants that stay in their buffers",
    "undefined": "by mutants that do not",
    "unknown": "by mutants of which that is not known",
}
_CPU_KINDS = ("c", "llvm")


@dataclass(frozen=True)
class PaperRow:
    """One claim of the paper with its figure and ours; None is an unknown figure.

    ``where`` names the mutant of our figure, or the reason for None.
    """

    claim: str
    paper: float | None
    ours: float | None
    where: str


@dataclass(frozen=True)
class PaperComparison:
    """The claims of the paper beside our figures, and a sentence on why they are not comparable."""

    rows: tuple[PaperRow, ...]
    caveat: str


def paper_comparison(results: Results) -> PaperComparison:
    """The two headline figures of the MutateNN paper beside the largest figures of the results."""
    rows = (_discrepancy(results), *_behaviours(results), _degradation(results))
    return PaperComparison(rows, _caveat(results))


def paper_table(comparison: PaperComparison) -> Table:
    """The table of a comparison, with the caveat as caption."""
    table = report_table("Beside the MutateNN paper (arXiv 2306.01697)", ("claim",), ("paper %", "here %"))
    table.columns[0].max_width = 30
    table.add_column("where, here", overflow="fold", ratio=1)
    for row in comparison.rows:
        table.add_row(*texts(row.claim, percent(row.paper), percent(row.ours), row.where))
    table.caption = Text(comparison.caveat)
    table.caption_justify = "left"
    return table


def _discrepancy(results: Results) -> PaperRow:
    claim = "inputs with other labels between devices, conditional mutants (up to)"
    worst = largest_by_category(results).get(str(Category.CONDITIONAL))
    if worst is not None:
        return PaperRow(claim, PAPER_DISCREPANCY, worst.share, _place(worst))
    if len(results.devices) < 2:
        return PaperRow(claim, PAPER_DISCREPANCY, None, "one device has nothing to differ from")
    return PaperRow(claim, PAPER_DISCREPANCY, None, "no conditional mutant completed on two devices")


def _behaviours(results: Results) -> list[PaperRow]:
    """For each behaviour: the largest share of differing labels, and the number of discrepant mutants."""
    conditional = [each for each in completed_on_both(results) if each.category is Category.CONDITIONAL]
    beyond = [each for each in conditional if each.beyond_share]
    if not beyond:
        return []
    rows = []
    for behaviour in BEHAVIOURS:
        found = [each for each in beyond if each.behaviour == behaviour]
        if found or behaviour != "unknown":
            worst = next(iter(worst_first(found)), None)
            mutants = len({(each.model, each.id) for each in found})
            counted = f"{mutants} of {len({(each.model, each.id) for each in beyond})} discrepant mutants"
            where = counted if worst is None else f"{counted}; {_place(worst)}"
            claim = f"... beyond the unmutated builds, {_BEHAVIOURS[behaviour]} (up to)"
            rows.append(PaperRow(claim, None, None if worst is None else worst.beyond_share, where))
    return rows


def _place(each: DiscrepancyRow) -> str:
    return f"{each.id} of {each.model}, {' and '.join(each.devices)}"


def _degradation(results: Results) -> PaperRow:
    claim = "inputs degraded by layer, type and input mutations (up to)"
    rows = [row for row in results.mutants if row.category in _DEGRADING and row.dissimilarity is not None]
    if not rows:
        return PaperRow(claim, PAPER_DEGRADATION, None, "no layer, type or input mutant completed")
    worst = min(rows, key=lambda row: (-(row.dissimilarity or 0.0), row.model, row.id, row.device))
    where = f"{worst.id} of {worst.model}, {worst.device}"
    return PaperRow(claim, PAPER_DEGRADATION, worst.dissimilarity, where)


def _caveat(results: Results) -> str:
    models = [row.name for row in results.models]
    counts = sorted({row.input_count for row in results.models})
    inputs = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "no"
    return (
        f"Not comparable with the paper: other models ({_listed(models)} here, seven with other weights there), other "
        f"inputs ({inputs} a model here, {PAPER_INPUTS} of ImageNet there), other devices ({_devices(results)} here, "
        "four there, GPUs among them)."
    )


def _devices(results: Results) -> str:
    listed = _listed([row.name for row in results.devices])
    if results.devices and all(_kind(row.target) in _CPU_KINDS for row in results.devices):
        generators = "code generators" if len(results.devices) > 1 else "code generator"
        return f"the CPU {generators} {listed}"
    return listed


def _kind(target: str) -> str:
    """The kind in the text of a target, which is JSON or begins with the kind."""
    if target.lstrip().startswith("{"):
        return str(json.loads(target).get("kind"))
    return target.split(maxsplit=1)[0] if target.split() else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"

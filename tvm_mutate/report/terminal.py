"""The report of a campaign for a terminal; plain text if the console is not a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tvm_mutate.report.discrepancies import BEHAVIOURS, CrossDevice, completed_on_both, cross_devices, worst_first
from tvm_mutate.report.oracles import OracleTally, by_oracle
from tvm_mutate.report.summary import Summary, Tally, summarize
from tvm_mutate.report.tables import interval_text, percent, report_table, score_line, texts
from tvm_mutate.results import AgreementRow, CanaryRow, DiscrepancyRow, MutantRow, Results

_WORST_SHOWN = 10
_COMPILER = "Verdicts on faults of the compiler itself, in no mutation score"
_LEGEND = (
    "dissim. %: inputs with another label than golden, mean over completed mutants; degraded: any label changed; "
    "crashed: crash, timeout or exception; no build: compile error; n/a: no site in the model; "
    "other: no coverage, no verdict, or accepted."
)

_CROSS_LEGEND = (
    "raw: largest share of inputs with another label on the second device; defined, undefined, unknown: mutants that "
    "differ where the unmutated builds agree, by whether they access memory outside their buffers; scores: mutants "
    "with a score that differs by more than the unmutated builds'."
)
_FIGURES = ("mutants", "dissim. %", "degraded", "crashed", "no build", "equiv.", "n/a")
_VERDICTS = ("mutants", "killed", "survived", "equiv.", "other", "score %", "95 % interval")
_NOTICED = ("mutants", "noticed", "share %", "95 % interval", "by no other")
_AGREEMENT = ("models", "same bits", "labels differ", "max. abs.", "max. rel.")
_CROSS = ("mutants", "raw %", "defined", "up to %", "undef.", "up to %", "unkn.", "scores")


def render_summary(
    results: Results, operator_categories: Mapping[str, str], studies: Iterable[RenderableType] = ()
) -> list[RenderableType]:
    """The summary of a campaign for ``rich.print``: canaries, figures, discrepancies, tables of studies, the score.

    ``operator_categories`` gives the category of each operator of the catalogue. The tables fit 100 columns.
    """
    summary = summarize(results, operator_categories)
    parts: list[RenderableType] = [
        _canary_table(results.canaries),
        *_category_tables(summary),
        Text(_LEGEND, style="dim"),
        *_verdict_tables(summary),
        *_oracle_tables(by_oracle(results.mutants)),
        *_discrepancies(results, summary),
        *studies,
        score_line(summary.total.score),
    ]
    return [line for part in parts for line in (part, Text())][:-1]


def render_mutants(rows: Iterable[MutantRow], limit: int) -> list[RenderableType]:
    """The first ``limit`` survivors among the rows, and a line with their number."""
    survivors = [row for row in rows if row.is_survivor]
    if not survivors:
        return [Text("No mutant survived.")]
    counted = "1 mutant survived" if len(survivors) == 1 else f"{len(survivors)} mutants survived"
    shown = f"{counted}, {limit} of them shown." if len(survivors) > limit else f"{counted}."
    return [_mutant_table(survivors[:limit]), Text(shown)]


def _verdict_tables(summary: Summary) -> list[RenderableType]:
    """The verdicts, and those on faults of the compiler in a separate table."""
    tables: list[RenderableType] = []
    if summary.by_device or not summary.compiler_by_device:
        tables.append(_verdict_table("Verdicts", summary.by_device, summary.total))
    if summary.compiler_by_device:
        tables.append(_verdict_table(_COMPILER, summary.compiler_by_device, summary.compiler_total))
    return tables


def _oracle_tables(tallies: Sequence[OracleTally]) -> list[RenderableType]:
    """What each oracle notices, if there are several."""
    if len(tallies) < 2:
        return []
    table = report_table("Noticed by each oracle", ("oracle",), _NOTICED)
    for each in tallies:
        score = each.score
        cells = (str(score.decided), str(score.killed), percent(score.value), interval_text(score), str(each.only))
        table.add_row(*texts(each.oracle, *cells))
    return [table]


def _category_tables(summary: Summary) -> list[RenderableType]:
    by_model: dict[str, dict[tuple[str, ...], Tally]] = {}
    for (model, *names), tally in summary.groups.items():
        by_model.setdefault(model, {})[tuple(names)] = tally
    tables: list[RenderableType] = [_category_table(f"Model {model}", each) for model, each in by_model.items()]
    return [*tables, _category_table("All models", summary.by_category_and_device)] if len(by_model) > 1 else tables


def _discrepancies(results: Results, summary: Summary) -> list[RenderableType]:
    """The tables of discrepancies between devices; empty for a campaign on one device."""
    if len(results.devices) < 2:
        return []
    counted = "1 mutant" if summary.differing_outcomes == 1 else f"{summary.differing_outcomes} mutants"
    ended = Text(f"{counted} ended otherwise on one device than on another, as with a crash on one only.")
    worst = worst_first(completed_on_both(results))[:_WORST_SHOWN]
    none = Text("No mutant was labelled more differently by two devices than the unmutated model.")
    cross = cross_devices(results)
    tables: list[RenderableType] = [_cross_table(cross), Text(_CROSS_LEGEND, style="dim")] if cross else []
    agreement = _agreement_table(results.agreements, [row.name for row in results.devices])
    return [agreement, *tables, _discrepancy_table(worst) if worst else none, ended]


def _canary_table(rows: Iterable[CanaryRow]) -> Table:
    """The verdict of each canary on each model and device, marked ``WRONG`` if it is not the expected one."""
    rows = list(rows)
    names = list(dict.fromkeys(row.canary for row in rows))
    pairs: dict[tuple[str, str], dict[str, CanaryRow]] = {}
    for row in rows:
        pairs.setdefault((row.model, row.device), {})[row.canary] = row
    table = report_table("Canaries", ("model", "device", *names))
    for (model, device), found in pairs.items():
        table.add_row(*texts(model, device), *(_canary(found.get(name)) for name in names))
    return table


def _category_table(title: str, tallies: Mapping[tuple[str, ...], Tally]) -> Table:
    """The figures of one model or of all models by category and device."""
    table = report_table(title, ("category / device",), _FIGURES)
    above: str | None = None
    for (category, device), tally in tallies.items():
        if category != above:
            table.add_row(Text(category, style="bold"))
            above = category
        table.add_row(Text(f"  {device}"), *texts(*_figures(tally)))
    return table


def _verdict_table(title: str, tallies: Mapping[tuple[str, ...], Tally], total: Tally) -> Table:
    """The verdicts and the mutation score of each device and of all devices."""
    table = report_table(title, ("device",), _VERDICTS)
    for (device,), tally in tallies.items():
        table.add_row(Text(device), *texts(*_verdicts(tally)))
    if len(tallies) > 1:
        table.add_section()
        table.add_row(Text("all"), *texts(*_verdicts(total)), style="bold")
    return table


def _discrepancy_table(discrepancies: Iterable[DiscrepancyRow]) -> Table:
    """The mutants that two devices label most differently, with their behaviour below the model."""
    names = ("inputs %", "beyond %")
    table = report_table("Worst discrepancies between devices", ("mutant", "model", "devices"), names)
    for row in discrepancies:
        devices, shares = "\n".join(row.devices), map(percent, (row.share, row.beyond_share))
        model = f"{row.model}\n({row.behaviour})"  # without a column for the behaviour: ids need the width
        table.add_row(*texts(row.id, model, devices, *shares))
    return table


def _mutant_table(rows: Iterable[MutantRow]) -> Table:
    """Mutants on their devices, with the rung that each reached."""
    table = report_table("Surviving mutants", ("mutant", "model", "device", "rung"))
    for row in rows:
        table.add_row(*texts(row.id, row.model, row.device, str(row.rung or "-")))
    return table


def _canary(row: CanaryRow | None) -> Text:
    if row is None:
        return Text("-")
    verdict = str(row.verdict or "no verdict")
    return Text(verdict, style="green") if row.ok else Text(f"{verdict}: WRONG", style="bold red")


def _figures(tally: Tally) -> list[str]:
    counts = (tally.degraded, tally.crashed, tally.compile_errors, tally.equivalent, tally.not_applicable)
    return [str(tally.mutants), percent(tally.mean_dissimilarity), *map(str, counts)]


def _verdicts(tally: Tally) -> list[str]:
    score = tally.score
    other = tally.no_coverage + tally.without_verdict + tally.accepted
    counts = (tally.mutants, tally.killed, tally.survived, tally.equivalent, other)
    return [*map(str, counts), percent(score.value), interval_text(score)]


def _agreement_table(rows: Iterable[AgreementRow], devices: Sequence[str]) -> Table:
    """How far the unmutated builds of all models agree, for each pair of devices."""
    by_pair: defaultdict[tuple[str, ...], list[AgreementRow]] = defaultdict(list)
    for row in rows:
        by_pair[tuple(row.devices)].append(row)
    table = report_table("Unmutated builds between devices", ("devices",), _AGREEMENT)
    for pair, found in sorted(by_pair.items(), key=lambda each: [devices.index(name) for name in each[0]]):
        inputs = sum(row.inputs for row in found)
        bits = [row.bitwise_equal for row in found if row.bitwise_equal is not None]
        labels = [row.differing_labels for row in found if row.differing_labels is not None]
        counts = (f"{sum(bits)} of {inputs}", f"{sum(labels)} of {inputs}" if labels else "-")
        sizes = [_largest(found, name) for name in ("max_abs_diff", "max_rel_diff")]
        table.add_row(*texts(" / ".join(pair), str(len(found)), *counts, *sizes))
    return table


def _cross_table(table: Sequence[CrossDevice]) -> Table:
    """Discrepancies by category and pair of devices, with separate columns for defined and undefined behaviour."""
    found = report_table("Discrepancies between devices", ("category / devices",), _CROSS)
    above: str | None = None
    for each in table:
        if each.category != above:
            found.add_row(Text(each.category, style="bold"))
            above = each.category
        counts = [str(getattr(each, behaviour)) for behaviour in BEHAVIOURS]
        shares = [percent(each.largest_of(behaviour)) for behaviour in BEHAVIOURS]
        cells = (counts[0], shares[0], counts[1], shares[1], counts[2], str(each.scores))
        devices = f"  {each.first_device} / {each.second_device}"
        found.add_row(*texts(devices, str(each.mutants), percent(each.largest), *cells))
    return found


def _largest(rows: Iterable[AgreementRow], name: str) -> str:
    sizes = [size for row in rows if (size := getattr(row, name)) is not None]
    return f"{max(sizes):.1e}" if sizes else "-"

"""The report of a campaign for a terminal; plain text if the console is not a terminal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tvm_mutate.report.discrepancies import ALL, BEHAVIOURS, CrossDevice, completed_on_both, cross_devices, worst_first
from tvm_mutate.report.findings import by_effect, show_command
from tvm_mutate.report.oracles import OracleTally, by_oracle
from tvm_mutate.report.summary import Summary, Tally, summarize
from tvm_mutate.report.tables import interval_text, percent, report_table, score_line, texts, whole_line
from tvm_mutate.results import AgreementRow, BaselineRow, CanaryRow, DiscrepancyRow, Results

_WORST_SHOWN = 10
_COMPILER = "Verdicts on faults of the compiler itself, in no mutation score"
# What the columns are, where the heading does not say it.
_MEANINGS = {
    "dissim. %": "inputs with another label than golden, mean over completed mutants",
    "degraded": "any label changed",
    "crashed": "crash, timeout or exception",
    "no build": "compile error",
    "n/a": "no site in the model",
    "raw %": "largest share of inputs with another label on the second device",
    "defined": "mutants that differ where the unmutated builds agree, and access only their own memory",
    "undef.": "such mutants that access other memory",
    "unkn.": "such mutants of which neither is known",
    "scores": "mutants with a score that differs by more than the unmutated builds'",
}
_OTHER = "other: no coverage, no verdict, or accepted"
_FIGURES = ("mutants", "dissim. %", "degraded", "crashed", "no build", "equiv.", "n/a")
_VERDICTS = ("mutants", "killed", "survived", "equiv.", "other", "score %", "95 % interval")
_NOTICED = ("mutants", "noticed", "share %", "95 % interval", "by no other")
_AGREEMENT = ("models", "same bits", "labels differ", "max. abs.", "max. rel.")
_CROSS = ("mutants", "raw %", "defined", "up to %", "undef.", "up to %", "unkn.", "scores")


def render_summary(
    results: Results, operator_categories: Mapping[str, str], whole: bool = False
) -> list[RenderableType]:
    """The tables of a campaign for ``rich.print``: canaries, figures by category, discrepancies between devices.

    ``operator_categories`` gives the category of each operator of the catalogue. Only a ``whole`` summary, as the bench
    prints it, has categories without a mutant and a table of canaries that are all right. The tables fit 80 columns.
    """
    summary = summarize(results, operator_categories)
    canaries: RenderableType = _canary_table(results.canaries)
    if not whole and all(row.ok for row in results.canaries):
        canaries = Text(f"Canaries: {len(results.canaries)} of {len(results.canaries)} as they should be")
    tables = _category_tables(summary, whole)
    return _spaced([canaries, *tables, *_legend(tables), *_discrepancies(results, summary, whole)])


def render_score(results: Results, operator_categories: Mapping[str, str]) -> list[RenderableType]:
    """The oracles, the verdicts, how many survivors are accepted, and the score in the last line."""
    summary = summarize(results, operator_categories)
    accepted = summary.total.accepted + summary.compiler_total.accepted
    apart = [Text(f"Accepted survivors, in no score: {accepted}")] if accepted else []
    oracles = _oracle_tables(by_oracle(results.mutants))
    return _spaced(
        [*_judges(results.baselines), *_verdict_tables(summary), *oracles, *apart, score_line(summary.total.score)]
    )


def render_survivors(results: Results, limit: int) -> list[RenderableType]:
    """The ``limit`` survivors with the largest effect, two lines for each, and the command that shows one of them."""
    devices: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    survivors = []
    for row in sorted((row for row in results.mutants if row.is_survivor), key=by_effect):
        if not devices[row.id, row.model]:
            survivors.append(row)
        devices[row.id, row.model].append(row.device)
    if not survivors:
        return [Text("No mutant survived.")]
    counted = "1 mutant survived" if len(survivors) == 1 else f"{len(survivors)} mutants survived"
    shown = f", the {limit} with the largest effect:" if len(survivors) > limit else ", the largest effect first:"
    lines: list[RenderableType] = [Text(counted + shown, style="bold")]
    for row in survivors[:limit]:
        size = f", outputs differ by up to {row.max_abs_diff:.2g}" if row.max_abs_diff else ""
        where = f"{row.model} on {', '.join(devices[row.id, row.model])}"
        lines += [whole_line(f"  {row.id}"), Text(f"    {row.rung or '-'}{size}; {where}", "dim")]
    command = show_command(survivors[0], results.models, results.devices)
    return [*lines, whole_line(f"To see the first: {command}")]


def _judges(rows: Iterable[BaselineRow]) -> list[RenderableType]:
    """Which oracle gives the verdicts on which models."""
    models: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        if row.oracles and row.model not in models[row.oracles[0]]:
            models[row.oracles[0]].append(row.model)
    return [whole_line(f"Verdicts by {oracle}: {', '.join(names)}") for oracle, names in models.items()]


def _spaced(parts: Iterable[RenderableType]) -> list[RenderableType]:
    return [line for part in parts for line in (part, Text())][:-1]


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


def _category_tables(summary: Summary, whole: bool) -> list[Table]:
    by_model: dict[str, dict[tuple[str, str], Tally]] = {}
    for (model, category, device), tally in summary.groups.items():
        by_model.setdefault(model, {})[category, device] = tally
    named = [(f"Model {model}", each) for model, each in by_model.items()]
    if len(named) > 1:
        named.append(
            ("All models", {(names[0], names[1]): each for names, each in summary.by_category_and_device.items()})
        )
    return [
        _by_category(
            title,
            _FIGURES,
            [(*names, _figures(tally)) for names, tally in each.items() if whole or tally.mutants],
        )
        for title, each in named
    ]


def _legend(tables: Iterable[Table]) -> list[RenderableType]:
    """What the columns of the tables are, if any needs it."""
    headings = dict.fromkeys(str(column.header) for table in tables for column in table.columns)
    meanings = [f"{name}: {_MEANINGS[name]}" for name in headings if name in _MEANINGS]
    return [Text(f"{'; '.join(meanings)}.", style="dim")] if meanings else []


def _discrepancies(results: Results, summary: Summary, whole: bool) -> list[RenderableType]:
    """The tables of discrepancies between devices; empty for a campaign on one device."""
    if len(results.devices) < 2:
        return []
    counted = "1 mutant" if summary.differing_outcomes == 1 else f"{summary.differing_outcomes} mutants"
    ended = Text(f"{counted} ended otherwise on one device than on another, as with a crash on one only.")
    worst = worst_first(completed_on_both(results))[:_WORST_SHOWN]
    none = Text("No mutant was labelled more differently by two devices than the unmutated model.")
    cross = cross_devices(results)
    differing = [each for each in cross if whole or each.category == ALL or each.largest or each.scores]
    tables = [_cross_table(differing)] if differing else []
    agreement = _agreement_table(results.agreements, [row.name for row in results.devices])
    return [agreement, *tables, *_legend(tables), *(_worst_discrepancies(worst) if worst else [none]), ended]


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


def _by_category(title: str, names: Sequence[str], lines: Sequence[tuple[str, str, Sequence[str]]]) -> Table:
    """A table of category, device and figures, without columns of nothing but zeros."""
    shown = [
        number
        for number in range(len(names))
        if number == 0 or any(cells[number] not in ("0", "0.0", "-") for *_, cells in lines)
    ]
    table = report_table(title, ("category / device",), [names[number] for number in shown])
    above: str | None = None
    for category, device, cells in lines:
        if category != above:
            table.add_row(Text(category, style="bold"))
            above = category
        table.add_row(Text(f"  {device}"), *texts(*(cells[number] for number in shown)))
    return table


def _verdict_table(title: str, tallies: Mapping[tuple[str, ...], Tally], total: Tally) -> Table:
    """The verdicts and the mutation score of each device and of all devices."""
    table = report_table(title, ("device",), _VERDICTS)
    if _others(total):
        table.caption, table.caption_justify = Text(_OTHER, style="dim"), "left"
    for (device,), tally in tallies.items():
        table.add_row(Text(device), *texts(*_verdicts(tally)))
    if len(tallies) > 1:
        table.add_section()
        table.add_row(Text("all"), *texts(*_verdicts(total)), style="bold")
    return table


def _worst_discrepancies(discrepancies: Iterable[DiscrepancyRow]) -> list[RenderableType]:
    """The mutants that two devices label most differently, two lines for each."""
    lines: list[RenderableType] = [Text("Worst discrepancies between devices", style="bold")]
    for row in discrepancies:
        shares = f"{percent(row.share)} % of inputs, {percent(row.beyond_share)} % beyond the unmutated builds"
        where = f"{row.model} on {' / '.join(row.devices)}: {row.behaviour}"
        lines += [whole_line(f"  {row.id}"), Text(f"    {shares}; {where}", "dim")]
    return [Group(*lines)]


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
    counts = (tally.mutants, tally.killed, tally.survived, tally.equivalent, _others(tally))
    return [*map(str, counts), percent(score.value), interval_text(score)]


def _others(tally: Tally) -> int:
    return tally.no_coverage + tally.without_verdict + tally.accepted


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
    lines = []
    for each in table:
        counts = [str(getattr(each, behaviour)) for behaviour in BEHAVIOURS]
        shares = [percent(each.largest_of(behaviour)) for behaviour in BEHAVIOURS]
        cells = (counts[0], shares[0], counts[1], shares[1], counts[2], str(each.scores))
        devices = f"{each.first_device} / {each.second_device}"
        lines.append((each.category, devices, (str(each.mutants), percent(each.largest), *cells)))
    return _by_category("Discrepancies between devices", _CROSS, lines)


def _largest(rows: Iterable[AgreementRow], name: str) -> str:
    sizes = [size for row in rows if (size := getattr(row, name)) is not None]
    return f"{max(sizes):.1e}" if sizes else "-"

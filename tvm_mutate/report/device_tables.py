"""The tables of the terminal report on what differs between devices, one function a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from tvm_mutate.report.cross_devices import BEHAVIOURS, CrossDevice
from tvm_mutate.report.tables import percent, report_table, texts
from tvm_mutate.results import AgreementRow

_AGREEMENT = ("models", "same bits", "labels differ", "max. abs.", "max. rel.")
_CROSS = ("mutants", "raw %", "defined", "up to %", "undef.", "up to %", "unkn.", "scores")


def agreement_table(rows: Iterable[AgreementRow], devices: Sequence[str]) -> Table:
    """How far the unmutated builds of all models agree, for each two devices, in the order of these."""
    by_pair: defaultdict[tuple[str, ...], list[AgreementRow]] = defaultdict(list)
    for row in rows:
        by_pair[tuple(row.devices)].append(row)
    table = report_table("Unmutated builds between devices", ("devices",), _AGREEMENT)
    for pair, found in sorted(by_pair.items(), key=lambda each: [devices.index(name) for name in each[0]]):
        inputs = sum(row.inputs for row in found)
        bits = [row.bitwise_equal for row in found if row.bitwise_equal is not None]
        counts = (f"{sum(bits)} of {inputs}", f"{sum(row.differing_labels for row in found)} of {inputs}")
        sizes = [_largest(found, name) for name in ("max_abs_diff", "max_rel_diff")]
        table.add_row(*texts(" / ".join(pair), str(len(found)), *counts, *sizes))
    return table


def cross_table(table: Sequence[CrossDevice]) -> Table:
    """Discrepancies by category and, under each, by pair of devices; defined and undefined behaviour apart."""
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

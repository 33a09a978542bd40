"""The reports ``mutants.csv``, ``discrepancies.csv``, ``agreements.csv`` and ``undefined.csv``."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tvm_mutate.oracle import LatencyTest
from tvm_mutate.results import MutantRow, Results, write_whole

MUTANTS_FILE = "mutants.csv"
DISCREPANCIES_FILE = "discrepancies.csv"
AGREEMENTS_FILE = "agreements.csv"
UNDEFINED_FILE = "undefined.csv"
LATENCY_COLUMNS = tuple(field.name for field in fields(LatencyTest))
_FORMULA = ("=", "+", "-", "@")
MUTANT_COLUMNS = tuple(name for name in MutantRow.__struct_fields__ if name not in ("labels", "latency", "noticed"))
DISCREPANCY_COLUMNS = (
    "model",
    "id",
    "category",
    "first_device",
    "second_device",
    "share",
    "unmutated_share",
    "beyond_share",
    "max_abs_diff",
    "floor",
    "beyond_floor",
    "behaviour",
    "first_outcome",
    "second_outcome",
)
AGREEMENT_COLUMNS = (
    "model",
    "first_device",
    "second_device",
    "inputs",
    "bitwise_equal",
    "differing_labels",
    "max_abs_diff",
    "max_rel_diff",
    "floor",
)
EXAMINED_COLUMNS = ("model", "id", "target", "behaviour")
ACCESS_COLUMNS = ("kernel", "kind", "expression", "evidence", "detail")


def write_csv(results: Results, folder: str | Path) -> tuple[Path, ...]:
    """Writes ``mutants.csv`` and three files on differences between devices into the folder; returns the paths.

    Rows are sorted as in ``results.json``, columns have a fixed order. None is an empty cell, booleans are ``true`` and
    ``false``, lists are joined by ``; ``, numbers read back equal. Labels of single inputs are only in
    ``results.json``; the latency test has the columns ``latency_*``. Each oracle has two columns: ``noticed ORACLE``,
    the inputs that it noticed, and ``number ORACLE``, the mean number that it measured. In ``undefined.csv`` a mutant
    has a row for each access, or one row without an access. Raises UsageError if a file cannot be written.
    """
    oracles = list(dict.fromkeys(each.oracle for row in results.mutants for each in row.noticed))
    mutants = [
        [*_cells(row, MUTANT_COLUMNS), *_cells(row.latency, LATENCY_COLUMNS), *_noticed(row, oracles)]
        for row in sorted(results.mutants, key=lambda row: (row.model, row.device, row.id))
    ]
    discrepancies = [
        [row.model, row.id, row.category, *row.devices, *_cells(row, DISCREPANCY_COLUMNS[5:-2]), *row.outcomes]
        for row in sorted(results.discrepancies, key=lambda row: (row.model, row.id, *row.devices))
    ]
    agreements = [
        [row.model, *row.devices, *_cells(row, AGREEMENT_COLUMNS[3:])]
        for row in sorted(results.agreements, key=lambda row: (row.model, *row.devices))
    ]
    accesses = [
        [*_cells(row, EXAMINED_COLUMNS), *_cells(access, ACCESS_COLUMNS)]
        for row in sorted(results.undefined, key=lambda row: (row.model, row.id))
        for access in row.accesses or [None]
    ]
    latency = [f"latency_{name}" for name in LATENCY_COLUMNS]
    header = (*MUTANT_COLUMNS, *latency, *(f"{what} {name}" for name in oracles for what in ("noticed", "number")))
    tables = (
        (MUTANTS_FILE, header, mutants),
        (DISCREPANCIES_FILE, DISCREPANCY_COLUMNS, discrepancies),
        (AGREEMENTS_FILE, AGREEMENT_COLUMNS, agreements),
        (UNDEFINED_FILE, (*EXAMINED_COLUMNS, *ACCESS_COLUMNS), accesses),
    )
    return tuple(write_table(Path(folder) / name, header, rows) for name, header, rows in tables)


def _noticed(row: MutantRow, oracles: Iterable[str]) -> list[Any]:
    """For each oracle the inputs that it noticed and its number."""
    found = {each.oracle: each for each in row.noticed}
    return [cell for oracle in oracles for cell in _cells(found.get(oracle), ("inputs", "number"))]


def _cells(row: object, names: Iterable[str]) -> list[Any]:
    """The values of a row under these names, None if there is no row."""
    return [None if row is None else getattr(row, name) for name in names]


def write_table(path: Path, header: Sequence[str], rows: Iterable[Iterable[Any]]) -> Path:
    """Writes a CSV file; returns its path. Raises UsageError if the file cannot be written."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return write_whole(path, [buffer.getvalue()])


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"  # a spreadsheet would run it
    if isinstance(value, tuple):
        return "; ".join(value)
    return str(value).lower() if isinstance(value, bool) else value

"""The reports ``mutants.csv`` and ``discrepancies.csv``, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tvm_mutate.campaign.results import Results, Row
from tvm_mutate.report.atomic import write_whole

MUTANTS_FILE = "mutants.csv"
DISCREPANCIES_FILE = "discrepancies.csv"
MUTANT_COLUMNS = (
    "model",
    "device",
    "id",
    "operator",
    "category",
    "slot",
    "outcome",
    "verdict",
    "rung",
    "reason",
    "sites",
    "functions",
    "inputs",
    "bitwise_equal",
    "changed_labels",
    "dissimilarity",
    "accuracy",
    "golden_accuracy",
    "top_k_overlap",
    "max_abs_diff",
    "max_rel_diff",
    "nan_count",
    "inf_count",
    "kendall_tau",
    "rank_biased_overlap",
    "same_label_for_every_input",
    "build_seconds",
    "run_seconds",
    "evaluation",
    "evaluation_reason",
    "kernel_runs",
    "kernel_seconds",
    "masked_by",
    "undefined",
    "code_digest",
    "outputs_digest",
    "proof",
    "duplicate_of",
    "place_digest",
    "carried",
)
LATENCY_COLUMNS = ("golden_median", "mutant_median", "ratio", "p_value", "significant")
DISCREPANCY_COLUMNS = (
    "model",
    "id",
    "category",
    "first_device",
    "second_device",
    "share",
    "unmutated_share",
    "first_outcome",
    "second_outcome",
)


def write_csv(results: Results, folder: str | Path) -> tuple[Path, Path]:
    """Writes ``mutants.csv`` and ``discrepancies.csv`` into the folder; returns their paths.

    Rows are sorted as in ``results.json``, columns have a fixed order. What is None is an empty cell, booleans are
    ``true`` and ``false``, lists are joined by ``; ``, numbers read back equal. The labels of single inputs are in
    ``results.json`` only, and the latency test is spread over the columns ``latency_*``. Raises UsageError where a
    file cannot be written.
    """
    header = [*MUTANT_COLUMNS, *(f"latency_{name}" for name in LATENCY_COLUMNS)]
    mutants = sorted(results.mutants, key=lambda row: (row["model"], row["device"], row["id"]))
    discrepancies = sorted(results.discrepancies, key=lambda row: (row["model"], row["id"], *row["devices"]))
    return (
        _write(Path(folder) / MUTANTS_FILE, header, map(_mutant_cells, mutants)),
        _write(Path(folder) / DISCREPANCIES_FILE, DISCREPANCY_COLUMNS, map(_discrepancy_cells, discrepancies)),
    )


def _mutant_cells(row: Row) -> list[Any]:
    latency = row["latency"] or {}
    return [*(row[name] for name in MUTANT_COLUMNS), *(latency.get(name) for name in LATENCY_COLUMNS)]


def _discrepancy_cells(row: Row) -> list[Any]:
    names = ("model", "id", "category")
    return [*(row[name] for name in names), *row["devices"], row["share"], row["unmutated_share"], *row["outcomes"]]


def _write(path: Path, header: Sequence[str], rows: Iterable[list[Any]]) -> Path:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return write_whole(path, [buffer.getvalue()])


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(value)
    return str(value).lower() if isinstance(value, bool) else value

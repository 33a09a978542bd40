from __future__ import annotations

import csv
import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.report.results_by_hand import CAST, DROP, completed, ended, make
from tvm_mutate.errors import UsageError
from tvm_mutate.report import write_csv
from tvm_mutate.report.csv_report import LATENCY_COLUMNS, MUTANT_COLUMNS
from tvm_mutate.results import DiscrepancyRow, NoticedRow, results_schema


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def value(cell: str, like: Any) -> Any:
    """The cell as the type that the written value had."""
    if cell == "":
        return None
    return cell == "true" if isinstance(like, bool) else type(like)(cell)


def test_every_figure_of_every_mutant_reads_back_equal(three_devices, tmp_path):
    path, *_ = write_csv(three_devices, tmp_path)
    cells = {(row["model"], row["device"], row["id"]): row for row in read(path)}
    assert len(cells) == len(three_devices.mutants)
    for row in map(msgspec.to_builtins, three_devices.mutants):
        found = cells[row["model"], row["device"], row["id"]]
        assert {name: value(found[name], row[name]) for name in MUTANT_COLUMNS} == {
            name: row[name] for name in MUTANT_COLUMNS
        }
        latency = row["latency"] or dict.fromkeys(LATENCY_COLUMNS)
        assert {name: value(found[f"latency_{name}"], latency[name]) for name in LATENCY_COLUMNS} == latency


def test_the_columns_are_the_fields_of_a_row_in_their_order_but_the_labels():
    assert MUTANT_COLUMNS[:10] == (
        "model", "device", "id", "operator", "category", "slot", "outcome", "verdict", "rung", "reason"
    )  # fmt: skip
    fields = {*results_schema()["$defs"]["MutantRow"]["properties"]}
    assert {*MUTANT_COLUMNS} == fields - {"labels", "latency", "noticed"}
    assert MUTANT_COLUMNS[-3:] == ("place_digest", "carried", "accepted")
    assert LATENCY_COLUMNS == ("golden_median", "mutant_median", "ratio", "p_value", "significant")


def test_every_oracle_has_a_column_of_inputs_and_one_of_numbers(tmp_path):
    found = [
        NoticedRow(oracle="top-1", inputs=2, number=0.5),
        NoticedRow(oracle="ulps{limit=4}", inputs=0, number=None),
    ]
    rows = [completed(DROP, "llvm", [0, 0, 0, 0], noticed=found), ended(CAST, "llvm", "crash")]
    path, *_ = write_csv(make(("llvm",), rows, []), tmp_path)
    names = ["noticed top-1", "number top-1", "noticed ulps{limit=4}", "number ulps{limit=4}"]
    cells = {row["id"]: [row[name] for name in names] for row in read(path)}
    assert cells == {DROP: ["2", "0.5", "0", ""], CAST: ["", "", "", ""]}


def test_discrepancies_read_back_equal(three_devices, tmp_path):
    _, path, *_ = write_csv(three_devices, tmp_path)
    found = [
        {
            "id": row["id"],
            "model": row["model"],
            "category": row["category"],
            "devices": [row["first_device"], row["second_device"]],
            "share": value(row["share"], 0.5),
            "unmutated_share": float(row["unmutated_share"]),
            **{name: value(row[name], 0.5) for name in ("beyond_share", "max_abs_diff", "floor")},
            "beyond_floor": value(row["beyond_floor"], 1),
            "behaviour": value(row["behaviour"], ""),
            "outcomes": [row["first_outcome"], row["second_outcome"]],
        }
        for row in read(path)
    ]
    written = sorted(three_devices.discrepancies, key=lambda row: (row.model, row.id, row.devices))
    assert [msgspec.convert(row, DiscrepancyRow) for row in found] == written


def test_one_device_gives_discrepancies_that_are_only_a_header(one_device, tmp_path):
    _, path, *_ = write_csv(one_device, tmp_path)
    assert path.read_text().count("\n") == 1


def test_the_order_of_rows_does_not_depend_on_the_order_they_came_in(three_devices, tmp_path):
    turned = msgspec.structs.replace(
        three_devices,
        mutants=three_devices.mutants[::-1],
        discrepancies=three_devices.discrepancies[::-1],
    )
    for first, second in zip(write_csv(three_devices, tmp_path / "a"), write_csv(turned, tmp_path / "b"), strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_a_reason_that_is_not_valid_unicode_is_escaped(one_device, tmp_path):
    row = msgspec.structs.replace(one_device.mutants[0], reason="said \udcff")
    path, *_ = write_csv(msgspec.structs.replace(one_device, mutants=(row,)), tmp_path)
    assert read(path)[0]["reason"] == r"said \udcff"


def test_a_full_disk_leaves_the_old_files(three_devices, one_device, tmp_path, monkeypatch):
    before = [path.read_bytes() for path in write_csv(three_devices, tmp_path)]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"mutants\.csv cannot be written"):
        write_csv(one_device, tmp_path)
    names = ["mutants.csv", "discrepancies.csv", "agreements.csv", "undefined.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert [(tmp_path / name).read_bytes() for name in names] == before

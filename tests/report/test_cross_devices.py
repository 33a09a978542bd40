"""The cross-device table."""

from __future__ import annotations

import csv
import dataclasses
import json

from msgspec.structs import replace

from tests.report.results_by_hand import SWAP, completed, make
from tvm_mutate.report import cross_devices, write_cross_devices

CONDITIONAL = "Conditional Statement Operations"


def test_a_mutant_counts_by_its_behaviour_and_only_beyond_the_unmutated_builds(three_devices):
    rows = {(each.category, each.first_device, each.second_device): each for each in cross_devices(three_devices)}
    # SWAP completed on all three; on c it gives four other labels, one of which c gives without a fault as well.
    found = rows[CONDITIONAL, "llvm", "c"]
    assert (found.mutants, found.largest) == (1, 1.0)
    assert (found.defined, found.undefined, found.unknown) == (0, 1, 0)
    assert (found.largest_defined, found.largest_undefined, found.largest_unknown) == (None, 0.75, None)
    agreeing = rows[CONDITIONAL, "llvm", "v3"]
    assert (agreeing.mutants, agreeing.largest, agreeing.undefined, agreeing.scores) == (1, 0.0, 0, 0)
    cast = rows["Arithmetic Types", "llvm", "c"]  # differs where the unmutated builds do
    assert (cast.largest, cast.defined, cast.undefined, cast.unknown) == (0.25, 0, 0, 0)


def test_all_categories_together_come_last_and_are_their_sum(three_devices):
    table = cross_devices(three_devices)
    assert {each.category for each in table[-3:]} == {"All categories"}
    assert [(each.first_device, each.second_device) for each in table[-3:]] == [
        ("llvm", "v3"),
        ("llvm", "c"),
        ("v3", "c"),
    ]
    whole = table[-2]
    parts = [each for each in table[:-3] if each.second_device == "c" and each.first_device == "llvm"]
    assert whole.mutants == sum(each.mutants for each in parts)
    assert whole.largest_undefined == 0.75


def test_a_mutant_that_was_not_examined_is_unknown():
    results = make(("llvm", "v3"), [completed(SWAP, "llvm", [0, 1, 2, 3]), completed(SWAP, "v3", [1, 1, 2, 3])], [])
    rows = tuple(replace(row, behaviour="unknown") for row in results.discrepancies)
    (found,) = cross_devices(replace(results, discrepancies=rows))
    assert (found.unknown, found.largest_unknown, found.undefined) == (1, 0.25, 0)


def test_the_table_reads_back_from_both_files(three_devices, tmp_path):
    table = cross_devices(three_devices)
    in_csv, in_json = write_cross_devices(table, tmp_path)
    assert json.loads(in_json.read_text()) == [dataclasses.asdict(each) for each in table]
    with in_csv.open(newline="") as lines:
        cells = list(csv.DictReader(lines))
    assert [(row["category"], int(row["mutants"]), float(row["largest"])) for row in cells] == [
        (each.category, each.mutants, each.largest) for each in table
    ]

"""The pictures of a campaign: what they draw, their tables and their files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from msgspec.structs import replace
from PIL import Image

from tests.report.results_by_hand import CAST, DROP, NEGATE, SWAP, completed, ended, make
from tvm_mutate.errors import UsageError
from tvm_mutate.report.pictures import Picture, draw_pictures, write_pictures
from tvm_mutate.results import NoticedRow, Results, score_of


def picture(results: Results, name: str) -> Picture:
    (found,) = [each for each in draw_pictures(results) if each.name == name]
    return found


def test_survivors_of_an_operator_have_their_share_interval_and_number(three_devices: Results):
    rows = {row[0]: row[1:] for row in picture(three_devices, "survivors_by_operator").rows}
    survived, decided, share, low, high = rows["tir.cast"]
    score = score_of(row.verdict for row in three_devices.mutants if row.operator == "tir.cast")
    assert (survived, decided, share) == (2, 2, 1.0)
    assert (low, high) == pytest.approx((1 - score.interval[1], 1 - score.interval[0]))
    assert low < share <= high
    texts = [each.get_text() for each in picture(three_devices, "survivors_by_operator").figure.axes[0].texts]
    assert texts.count("n = 2") == 1


def test_each_rung_counts_the_mutants_that_got_there_or_further(three_devices: Results):
    counts = dict(picture(three_devices, "rungs").rows)
    assert counts["applied"] == len(three_devices.mutants) == 12
    assert counts["compiled"] == 11
    assert counts["label changed"] == 5
    assert [*counts.values()] == sorted(counts.values(), reverse=True)


def test_where_faults_stop_has_every_mutant_once_and_hatches_empty_cells(three_devices: Results):
    found = picture(three_devices, "where_faults_stop")
    assert sum(sum(row[1:]) for row in found.rows) == len(three_devices.mutants)
    (_, *numbers) = next(row for row in found.rows if row[0] == "graph/main")
    assert numbers[found.header.index("label changed") - 1] == 2
    axis = found.figure.axes[0]
    assert axis.patch.get_hatch()
    assert axis.images[0].get_array().mask.any()


def test_the_sensitivity_of_functions_is_in_the_order_of_their_numbers():
    rows = [
        completed(f"{SWAP.partition('@')[0]}@conv{layer}#{site}", "llvm", [0, 1, 2, 3],
                  noticed=[NoticedRow(oracle="top-1", inputs=inputs, number=None)])
        for layer, site, inputs in (("10", 0, 4), ("2", 0, 1), ("2", 1, 3))
    ]  # fmt: skip
    found = picture(make(("llvm",), rows, []), "sensitivity")
    assert found.rows == (("kernel/conv2", 2, 50.0), ("kernel/conv10", 1, 100.0))
    assert [bar.get_width() for bar in found.figure.axes[0].patches] == [50.0, 100.0]


def test_devices_are_a_matrix_with_value_and_number_and_no_empty_panel(three_devices: Results):
    figure = picture(three_devices, "devices").figure
    assert [axis.get_title() for axis in figure.axes[:-1]] == ["defined behaviour", "undefined behaviour"]
    values = figure.axes[1].images[0].get_array()
    assert values[0, 2] == values[2, 0] == 75.0
    assert values.mask.diagonal().all()
    assert "75 %\nn = 2" in [text.get_text() for text in figure.axes[1].texts]


def test_two_devices_are_dots_by_category():
    rows = [completed(SWAP, "llvm", [0, 1, 2, 3]), completed(SWAP, "c", [3, 2, 1, 9])]
    axis = picture(make(("llvm", "c"), rows, []), "devices").figure.axes[0]
    assert not axis.images
    assert [label.get_text() for label in axis.get_yticklabels()] == ["Conditional Statement Operations (n = 1)"]
    undefined = axis.collections[1].get_offsets()
    assert undefined.tolist() == [[75.0, 0.0]]


def test_equal_results_make_equal_files_with_their_numbers_and_captions(three_devices: Results, tmp_path: Path):
    first, second = (write_pictures(three_devices, tmp_path / name) for name in ("a", "b"))
    assert {path.suffix for path in first} == {".png", ".svg", ".csv", ".md"}
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    with Image.open(tmp_path / "a" / "devices.png") as image:
        assert min(image.size) > 300
    with (tmp_path / "a" / "rungs.csv").open(newline="") as lines:
        assert next(csv.DictReader(lines)) == {"rung": "applied", "mutants": "12"}
    captions = (tmp_path / "a" / "pictures.md").read_text()
    for name in ("survivors_by_operator", "rungs", "where_faults_stop", "devices"):
        assert f"]({name}.png)\n\n" in captions


def test_a_program_without_labels_and_one_device_has_the_other_pictures(one_device: Results):
    row = replace(completed(CAST, "cuda", [0, 1, 2, 3]), labels=None, dissimilarity=None, changed_labels=None)
    rows = (row, ended(NEGATE, "cuda", "crash"), replace(completed(DROP, "cuda", [0, 0, 0, 0]), accepted="seen"))
    names = [each.name for each in draw_pictures(replace(one_device, mutants=rows))]
    assert names == ["survivors_by_operator", "rungs", "where_faults_stop"]


def test_results_without_an_applied_mutant_have_nothing_to_draw(one_device: Results, tmp_path: Path):
    with pytest.raises(UsageError, match="nothing to draw"):
        write_pictures(replace(one_device, mutants=one_device.mutants[1:]), tmp_path / "new")
    assert not (tmp_path / "new").exists()

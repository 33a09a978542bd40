"""Counts over rows, and what the progress lines of a campaign tell of its phases."""

from __future__ import annotations

import importlib
import itertools

import pytest
from measuring.campaigns import Subject
from measuring.counts import census, maskers, times
from measuring.output import listed, table
from measuring.phases import Phases
from rows_by_hand import row

ROWS = [
    row("a", verdict="equivalent", proof="same generated code", rung="compiled", kernel_runs=0),
    row("b", verdict="equivalent", proof="proved by its simplified form", rung="compiled", kernel_runs=0),
    row("c", rung="reached", kernel_runs=2),
    row("d", rung="infected", masked_by=["pool", "relu"], kernel_runs=4),
    row("e", rung="propagated", masked_by=["relu"]),
    row("f", rung="label changed", verdict="killed", duplicate_of="e"),
    row("g", outcome="crash", verdict="killed", rung="reached", evaluation="rebuild", kernel_runs=None,
        masked_by=None, undefined=None, run_seconds=None),
]  # fmt: skip


def test_every_mutant_of_a_census_is_counted_where_it_belongs():
    counts = census(ROWS)
    expected = {
        "mutants": 7, "by content": 6, "same code": 1, "proved equivalent, not by same code": 1, "not infected": 1,
        "masked": 1, "masked in part": 1, "propagated": 1, "label changed": 1, "duplicate": 1, "not completed": 1,
        "settled without a run": 3, "undefined": 0,
    }  # fmt: skip
    assert counts == expected
    assert maskers(ROWS) == {"relu": 2, "pool": 1}


def test_what_neither_builds_nor_runs_is_the_tools_own_over_all_workers():
    spent = times([row("a"), row("b", run_seconds=None)], phase=2.0, workers=2)
    assert (spent.build, spent.run, spent.own, spent.own_milliseconds) == (1.0, 0.25, 2.75, 1375.0)
    assert spent.above_floor == pytest.approx(4 / 1.25)


def test_phases_are_timed_from_their_first_line_to_their_last():
    ticks = itertools.count()
    phases = Phases(clock=lambda: float(next(ticks)))
    for line in (
        "finding sites: 1 to do\n",
        "finding sites: 1/1, 2 s, about 0 s left\n",
        "a warning: of something else\n",
        "mutants: 6 to do\n",
        "mutants: 1/6, 1 survived, 11 s, about 55 s left\n",
        "mutants: 6/6, 2 killed, 4 survived, 14 s, about 0 s left\n",
        "canaries: 0 to do\n",
    ):
        phases.read(line)
    assert phases.seconds == {"finding sites": 1.0, "mutants": 2.0, "canaries": 0.0}
    assert phases.totals["mutants"] == 6


def test_a_subject_is_a_model_or_a_model_with_images():
    assert Subject.parse("zoo://resnet").arguments(5) == ["zoo://resnet", "--limit", "5"]
    real = Subject.parse("models/net.onnx=images")
    assert (real.name, real.arguments(5)) == ("net", ["models/net.onnx", "--inputs", "images", "--limit", "5"])


def test_tables_are_aligned_and_long_lists_end_with_a_count():
    assert table(("way", "s"), [("content", 1.0), ("x", None)]).splitlines() == [
        "  way         s",
        "  -------------",
        "  content  1.00",
        "  x           -",
    ]
    assert listed("ids", [str(number) for number in range(25)]).endswith("19\n    ... and 5 more")
    assert listed("ids", []) == ""


@pytest.mark.parametrize("text", ["4G", "4GiB", "4096M", "4294967296"])
def test_sizes_are_read_as_people_write_them(text: str):
    assert importlib.import_module("memory").bytes_of(text) == 4 << 30

"""Comparisons of two campaigns find a difference that is there, and none in what differs by time alone."""

from __future__ import annotations

import copy

import pytest
from measuring.comparison import exactness, row_differences, section_differences
from rows_by_hand import GARBAGE, OTHER, rebuilt, results, row, slower

CAST, SWAP, LOOP, LAYOUT = "tir.cast@a#0", "tir.swap-compare@a#1", "tir.loop-extent@b#0", "graph.convert-layout@main#0"
MANY = "9 kernels changed: one build of the whole model is cheaper"


def two_ways() -> tuple[dict, dict]:
    """Two defined mutants, one that reads garbage, and one that was rebuilt both times."""
    fast = results(
        row(CAST),
        row(SWAP),
        row(LOOP, undefined=["read outside a buffer"]),
        row(LAYOUT, evaluation="rebuild", evaluation_reason=MANY, kernel_runs=None, undefined=None, masked_by=None),
    )
    other = rebuilt(fast)
    other["mutants"][2]["outputs_digest"] = GARBAGE
    return fast, other


def test_equal_bits_are_no_difference_and_garbage_is_counted_apart():
    found = exactness(*two_ways())
    assert (found.compared, found.by_content, found.different) == (3, 3, [])
    assert (found.undefined, found.undefined_different) == (1, [LOOP])
    assert found.fell_to_rebuild == {MANY.replace("9", "N"): 1}
    assert (found.rebuilt_different, found.verdicts, found.outcomes, found.missing) == ([], [], [], [])


def test_a_planted_difference_of_a_defined_mutant_is_found():
    fast, other = two_ways()
    other["mutants"][1].update(outputs_digest=OTHER, verdict="killed")
    found = exactness(fast, other)
    assert found.different == [SWAP]
    assert found.verdicts == [f"{SWAP}: survived -> killed (defined)"]


def test_a_mutant_that_did_not_complete_both_ways_is_not_compared_but_told():
    fast, other = two_ways()
    other["mutants"][0].update(outcome="crash", outputs_digest=None)
    del other["mutants"][1]
    found = exactness(fast, other)
    assert (found.compared, found.different) == (1, [])
    assert found.outcomes == [f"{CAST}: completed -> crash (defined)"]
    assert found.missing == [SWAP]


def test_two_rebuilds_that_differ_are_told_apart_from_the_fast_path():
    fast, other = two_ways()
    other["mutants"][3]["outputs_digest"] = OTHER
    found = exactness(fast, other)
    assert (found.different, found.rebuilt_different) == ([], [LAYOUT])


def test_times_are_no_differences():
    fast, _ = two_ways()
    assert row_differences(fast, slower(fast)) == []
    assert section_differences(fast, slower(fast)) == []


@pytest.mark.parametrize(("field", "value"), [("verdict", "killed"), ("outputs_digest", OTHER), ("undefined", ["x"])])
def test_a_planted_difference_between_two_runs_is_found_with_its_field(field: str, value: object):
    fast, _ = two_ways()
    again = copy.deepcopy(fast)
    again["mutants"][1][field] = value
    (difference,) = row_differences(fast, again)
    assert (difference.mutant, difference.fields) == (SWAP, (field,))
    assert difference.behaviour == ("undefined" if field == "undefined" else "defined")


def test_a_missing_row_and_another_baseline_are_found():
    fast, _ = two_ways()
    again = copy.deepcopy(fast)
    del again["mutants"][0]
    again["baselines"][0]["digest"] = "00"
    assert [str(each) for each in row_differences(fast, again)] == [f"{CAST}: (missing) (defined)"]
    assert section_differences(fast, again) == ["baselines"]

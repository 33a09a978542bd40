"""The figures of the MutateNN paper beside those of a campaign."""

from __future__ import annotations

from tests.report.results_by_hand import DROP, SWAP, completed, ended, make
from tvm_mutate.studies.paper import paper_comparison


def test_our_largest_figures_are_shown_beside_those_of_the_paper(three_devices):
    comparison = paper_comparison(three_devices)
    assert [(row.paper, row.ours) for row in comparison.rows] == [
        (0.903, 1.0),
        (None, None),
        (None, 0.75),
        (0.998, 0.75),
    ]
    assert comparison.rows[1].where == "0 of 1 discrepant mutants"
    assert comparison.rows[2].where.startswith(f"1 of 1 discrepant mutants; {SWAP}")
    assert SWAP in comparison.rows[0].where
    assert "llvm and c" in comparison.rows[0].where
    assert DROP in comparison.rows[3].where
    for words in ("resnet here", "4 a model here", "the CPU code generators llvm, v3, c here"):
        assert words in comparison.caveat


def test_figures_that_need_two_devices_are_none_with_the_reason(one_device):
    comparison = paper_comparison(one_device)
    assert [row.ours for row in comparison.rows] == [None, None]
    assert comparison.rows[0].where == "one device has nothing to differ from"
    assert comparison.rows[1].where == "no layer, type or input mutant completed"
    assert "(cuda here" in comparison.caveat
    assert "CPU" not in comparison.caveat


def test_conditional_mutants_that_completed_on_one_device_give_no_discrepancy():
    results = make(("llvm", "cuda"), [ended(SWAP, "llvm", "crash"), completed(SWAP, "cuda", [0, 1, 2, 3])], [])
    assert paper_comparison(results).rows[0].where == "no conditional mutant completed on two devices"
    assert "CPU" not in paper_comparison(results).caveat

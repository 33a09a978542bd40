"""Examination of mutants that leave their buffers, with the evidence."""

from __future__ import annotations

import pytest

from tvm_mutate.evaluate import Examiner

from .conftest import CATALOGUE, SECONDS, Both

OUTSIDE = "tir.swap-compare{from=le,to=gt}@max_pool2d1#0"
INSIDE = "tir.swap-compare{from=gt,to=ge}@fused_matmul_add4_relu4#0"


@pytest.fixture(scope="module")
def examiner(both: Both) -> Examiner:
    return Examiner(both.stages, both.workload, CATALOGUE)


def test_a_padding_condition_that_lets_reads_through_is_named_by_index_and_by_line(examiner: Examiner):
    found = examiner.examine(CATALOGUE.parse(OUTSIDE), SECONDS)
    assert found.behaviour == "undefined"
    assert {each.kernel for each in found.accesses} == {"max_pool2d1"}
    by_evidence = {each.evidence: each for each in found.accesses}
    assert by_evidence["indices"].expression.startswith("lv8[v_ax0, v_ax1, v_ax2 - ")
    assert "of 0 to 7" in by_evidence["indices"].detail
    if "not looked at" not in found.sanitizer:
        assert by_evidence["AddressSanitizer"].kind == "read"
        assert "lv8[" in by_evidence["AddressSanitizer"].expression


def test_a_mutant_that_stays_in_its_buffers_is_defined_and_needs_no_sanitizer(examiner: Examiner):
    found = examiner.examine(CATALOGUE.parse(INSIDE), SECONDS)
    assert (found.behaviour, found.accesses) == ("defined", ())
    assert (found.indices, found.red_zones) == ("nothing outside", "nothing undefined")
    assert found.sanitizer == "not needed: every index is inside its buffer"


def test_a_conversion_of_numbers_that_do_not_fit_is_undefined_though_every_index_is_inside(examiner: Examiner):
    found = examiner.examine(CATALOGUE.parse("tir.store-through{type=int16}@max_pool2d#*"), SECONDS)
    assert found.behaviour == "undefined"
    assert ("max_pool2d", "conversions") in {(each.kernel, each.evidence) for each in found.accesses}
    assert (found.indices, found.red_zones) == ("nothing outside", "undefined in 1 of 1 kernels")


def test_conversions_of_numbers_that_fit_are_defined(examiner: Examiner):
    found = examiner.examine(CATALOGUE.parse("tir.store-through{type=int16}@fused_conv2d_add_relu#*"), SECONDS)
    assert (found.behaviour, found.red_zones) == ("defined", "nothing undefined")


def test_without_the_sanitizer_the_other_examinations_decide(examiner: Examiner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CC", "/bin/false")
    found = examiner.examine(CATALOGUE.parse(OUTSIDE), SECONDS)
    assert found.behaviour == "undefined"
    assert found.sanitizer.startswith("not looked at: no program with AddressSanitizer: /bin/false")


def test_a_fault_in_lowered_code_is_found_by_running_it(examiner: Examiner):
    lowered = "tir.swap-compare{from=le,to=gt,slot=lowered}@max_pool2d1#*"
    found = examiner.examine(CATALOGUE.parse(lowered), SECONDS)
    assert found.indices.startswith("not looked at")
    assert found.behaviour == "undefined"


def test_the_behaviour_of_a_fault_in_memory_planning_is_unknown(examiner: Examiner):
    found = examiner.examine(CATALOGUE.parse("pipeline.skip-pass{pass=StaticPlanBlockMemory}@*#*"), SECONDS)
    assert found.behaviour == "unknown"
    assert "planning of memory" in found.red_zones

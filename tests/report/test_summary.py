from __future__ import annotations

import dataclasses
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.results_by_hand import CAST, CATEGORIES, DROP, NEGATE, SWAP, absent, completed, ended, make
from tvm_mutate.oracle import wilson_interval
from tvm_mutate.report import Tally, summarize, tally
from tvm_mutate.report.discrepancies import (
    completed_on_both,
    count_differing_outcomes,
    largest_by_category,
    worst_first,
)
from tvm_mutate.results import Results, read_json, write_json
from tvm_mutate.studies.paper import paper_comparison

COUNTS = [field.name for field in dataclasses.fields(Tally) if field.name != "mean_dissimilarity"]


def test_the_tally_of_a_model_category_and_device_counts_what_was_written(three_devices):
    found = summarize(three_devices, CATEGORIES).by_category_and_device
    assert found["Conditional Statement Operations", "llvm"] == Tally(
        mutants=2,
        killed=1,
        survived=0,
        equivalent=1,
        no_coverage=0,
        without_verdict=0,
        accepted=0,
        completed=2,
        degraded=1,
        crashed=0,
        compile_errors=0,
        not_applicable=0,
        mean_dissimilarity=0.125,
    )
    assert found["Conditional Statement Operations", "c"].crashed == 1
    assert found["Conditional Statement Operations", "c"].mean_dissimilarity == 1.0
    assert found["Arithmetic Types", "v3"].compile_errors == 1
    assert found["Arithmetic Types", "v3"].mean_dissimilarity is None
    assert found["Arithmetic Types", "llvm"].not_applicable == 2


def test_groups_come_in_the_order_of_the_catalogue_and_of_the_devices(three_devices):
    groups = summarize(three_devices, CATEGORIES).groups
    assert [names[1:] for names in groups] == [
        *[("Layer Node Replacement", device) for device in ("llvm", "v3", "c")],
        *[("Arithmetic Types", device) for device in ("llvm", "v3", "c")],
        *[("Conditional Statement Operations", device) for device in ("llvm", "v3", "c")],
        ("Unknown", "c"),
    ]


def test_totals_are_counted_over_categories_devices_and_all(three_devices):
    summary = summarize(three_devices, CATEGORIES)
    total = summary.total
    assert (total.mutants, total.killed, total.survived, total.equivalent) == (12, 7, 2, 1)
    assert (total.no_coverage, total.without_verdict, total.crashed, total.degraded) == (1, 1, 3, 5)
    assert (total.completed, total.compile_errors, total.not_applicable) == (8, 1, 4)
    assert total.mean_dissimilarity == (0.75 + 0 + 0 + 0.25 + 0.75 + 0 + 0.25 + 1.0) / 8
    assert {device: each.killed for (device,), each in summary.by_device.items()} == {"llvm": 2, "v3": 2, "c": 3}
    assert summary.by_category_and_device["Layer Node Replacement", "c"].crashed == 1


def test_the_score_is_killed_of_decided_with_the_wilson_interval(three_devices):
    score = summarize(three_devices, CATEGORIES).total.score
    assert (score.killed, score.decided, score.value) == (7, 9, 7 / 9)
    assert score.interval == wilson_interval(7, 9)
    assert score.value == three_devices.score.value


def test_without_a_decided_mutant_there_is_no_score(one_device):
    score = summarize(one_device, CATEGORIES).total.score
    assert (score.value, score.interval) == (None, (0.0, 1.0))


def test_faults_of_the_compiler_are_counted_apart_and_are_in_no_score():
    of_compiler = {"category": "Compiler Passes", "slot": "pipeline"}
    rows = [
        completed(SWAP, "llvm", [0, 1, 2, 3]),
        completed(CAST, "llvm", [0, 1, 2, 0], **of_compiler),
        ended(DROP, "llvm", "crash", **of_compiler),
    ]
    results = make(("llvm",), rows, [])
    summary = summarize(results, CATEGORIES)
    assert (summary.total.mutants, summary.total.score.value, results.score.value) == (1, 0.0, 0.0)
    assert (summary.compiler_total.mutants, summary.compiler_total.killed) == (2, 2)
    assert summary.by_device["llvm",].mutants == 1
    assert summary.compiler_by_device["llvm",].mutants == 2
    assert summary.by_category_and_device["Compiler Passes", "llvm"].mutants == 2
    assert make(("llvm",), rows[1:], []).score.value is None


def test_a_mutant_that_was_not_applied_is_not_counted_as_a_mutant(one_device):
    total = summarize(one_device, CATEGORIES).total
    assert (total.mutants, total.completed, total.not_applicable, total.without_verdict) == (1, 0, 1, 1)
    assert total.mean_dissimilarity is None


def test_no_rows_make_an_empty_tally():
    assert tally([]) == Tally(**dict.fromkeys(COUNTS, 0), mean_dissimilarity=None)
    assert summarize(make((), [], []), {}).groups == {}


def test_the_worst_discrepancies_come_first_without_those_of_the_unmutated_model(three_devices):
    found = worst_first(completed_on_both(three_devices))
    # CAST differs between llvm and c in one input of four, and so does the unmutated model.
    assert [(each.id, each.devices, each.share, each.unmutated_share) for each in found] == [
        (SWAP, ("llvm", "c"), 1.0, 0.25),
        (SWAP, ("v3", "c"), 1.0, 0.25),
    ]
    assert (found[0].beyond_share, found[0].behaviour) == (0.75, "undefined")


def test_each_category_has_its_largest_share_even_if_the_unmutated_builds_differ_as_much(three_devices):
    found = largest_by_category(three_devices)
    assert {category: each.share for category, each in found.items()} == {
        "Layer Node Replacement": 0.0,
        "Arithmetic Types": 0.25,
        "Conditional Statement Operations": 1.0,
    }


def test_mutants_with_another_outcome_on_another_device_are_counted_once_each(three_devices, one_device):
    assert count_differing_outcomes(three_devices) == 3
    assert count_differing_outcomes(one_device) == 0


LABELS = st.lists(st.integers(0, 3), min_size=4, max_size=4)
MORE = st.fixed_dictionaries({"model": st.sampled_from(["resnet", "alexnet", "vgg"])})
MUTANTS = st.sampled_from([SWAP, NEGATE, CAST, DROP])
DEVICES = st.sampled_from(["llvm", "v3", "c"])
OUTCOMES = st.sampled_from(["compile error", "exception", "crash", "timeout", "device lost"])
ROWS = st.lists(
    st.one_of(
        st.builds(lambda *row, more: completed(*row, **more), MUTANTS, DEVICES, LABELS, more=MORE),
        st.builds(lambda *row, more: ended(*row, **more), MUTANTS, DEVICES, OUTCOMES, more=MORE),
    ),
    max_size=20,
    unique_by=lambda row: (row.model, row.device, row.id),
)
ABSENT = st.lists(st.builds(absent, MUTANTS, DEVICES, st.sampled_from(["resnet", "alexnet"])), max_size=6)


@given(ROWS, ABSENT)
def test_the_parts_add_up_to_the_totals(rows, missing):
    summary = summarize(make(("llvm", "v3", "c"), rows, missing), CATEGORIES)
    total = summary.total
    parts = [
        list(summary.groups.values()),
        list(summary.by_device.values()),
        list(summary.by_category_and_device.values()),
    ]
    for tallies in parts:
        for name in COUNTS:
            assert sum(getattr(each, name) for each in tallies) == getattr(total, name)
        weighted = math.fsum(each.completed * (each.mean_dissimilarity or 0) for each in tallies)
        assert weighted == pytest.approx(total.completed * (total.mean_dissimilarity or 0))
    verdicts = (total.killed, total.survived, total.equivalent, total.no_coverage, total.without_verdict)
    assert sum(verdicts) == total.mutants == len(rows)
    assert total.completed + total.crashed + total.compile_errors <= total.mutants
    assert total.not_applicable == len(missing)


@given(ROWS, ABSENT, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, missing, random):
    results = make(("llvm", "v3", "c"), rows, missing)
    turned = msgspec.structs.replace(
        results,
        mutants=shuffled(results.mutants, random),
        absent=shuffled(results.absent, random),
        discrepancies=shuffled(results.discrepancies, random),
    )
    assert summarize(turned, CATEGORIES) == summarize(results, CATEGORIES)
    assert list(summarize(turned, CATEGORIES).groups) == list(summarize(results, CATEGORIES).groups)
    assert worst_first(completed_on_both(turned)) == worst_first(completed_on_both(results))
    assert largest_by_category(turned) == largest_by_category(results)
    assert paper_comparison(turned) == paper_comparison(results)


def shuffled(rows: tuple, random) -> tuple:
    return tuple(random.sample(rows, len(rows)))


def test_results_read_back_give_the_same_summary(three_devices: Results, tmp_path):
    read = read_json(write_json(three_devices, tmp_path))
    assert summarize(read, CATEGORIES) == summarize(three_devices, CATEGORIES)
    assert paper_comparison(read) == paper_comparison(three_devices)

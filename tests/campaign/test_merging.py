"""One result from the shards of a campaign and from campaigns on other devices."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.report.results_by_hand import CAST, DROP, NEGATE, SWAP, absent, completed, make
from tvm_mutate.campaign import merge
from tvm_mutate.errors import UsageError
from tvm_mutate.results import Results

LLVM = [completed(DROP, "llvm", [0, 0, 0, 0]), completed(CAST, "llvm", [0, 1, 2, 3])]
C = [completed(DROP, "c", [0, 0, 0, 0]), completed(CAST, "c", [0, 1, 1, 9])]
MISSING = absent("tir.cast@*#*", "llvm")


def sorted_rows(results: Results) -> list[tuple[str, str, str, str | None]]:
    return sorted((row.model, row.device, row.id, row.verdict) for row in results.mutants)


def test_the_shards_of_a_campaign_are_the_whole():
    whole = make(("llvm",), LLVM, [MISSING])
    merged = merge([make(("llvm",), [row], [MISSING]) for row in LLVM])
    assert sorted_rows(merged) == sorted_rows(whole)
    assert merged.score == whole.score
    assert merged.absent == whole.absent
    assert (merged.models, merged.devices, merged.baselines) == (whole.models, whole.devices, whole.baselines)
    assert merge([merged, merged]) == merged


def test_devices_of_several_campaigns_are_compared_by_their_labels():
    whole = make(("llvm", "c"), [*LLVM, *C], [])
    merged = merge([make(("llvm",), LLVM, []), make(("c",), C, [])])
    assert [row.name for row in merged.devices] == ["llvm", "c"]
    compared = [[(row.id, row.devices, row.share, row.beyond_share) for row in each.discrepancies]
                for each in (whole, merged)]  # fmt: skip
    assert compared[0] == compared[1]
    assert {row.id: row.share for row in merged.discrepancies} == {DROP: 0.0, CAST: 0.5}
    assert merged.agreements[0].differing_labels == 1


def test_shards_of_two_devices_keep_what_they_measured():
    parts = [make(("llvm", "c"), rows, []) for rows in ([LLVM[0], C[0]], [LLVM[1], C[1]])]
    merged = merge(parts)
    assert {row.id: row.floor for row in merged.discrepancies} == {
        row.id: row.floor for part in parts for row in part.discrepancies
    }
    assert len(merged.agreements) == 1
    assert merged.agreements[0].bitwise_equal == parts[0].agreements[0].bitwise_equal is not None


def test_parts_that_do_not_belong_together_are_refused():
    first = make(("llvm",), LLVM, [])
    other_model = [replace(row, model_digest="other") for row in first.models]
    other_target = [replace(row, target="c") for row in first.devices]
    killed = completed(CAST, "llvm", [9, 9, 9, 9])
    other_oracle = [replace(row, oracles=("bitwise",)) for row in first.baselines]
    versions = {**first.environment.versions, "apache-tvm": "0.28"}
    for part, message in (
        (replace(first, models=tuple(other_model)), "model resnet"),
        (replace(first, devices=tuple(other_target)), "device llvm"),
        (replace(first, baselines=tuple(other_oracle)), "verdicts on resnet are by top-1 and by bitwise"),
        (replace(first, mutants=(killed,)), "mutant tir.cast"),
        (replace(first, environment=replace(first.environment, versions=versions)), "apache-tvm 0.27.0 and of 0.28"),
    ):
        with pytest.raises(UsageError, match=message):
            merge([first, part])


def test_a_variant_that_one_shard_lacks_is_not_absent_if_another_has_it():
    part = make(("llvm",), [completed(SWAP, "llvm", [0, 1, 2, 3])], [absent(NEGATE, "llvm")])
    other = make(("llvm",), [completed(NEGATE, "llvm", [3, 2, 1, 0])], [])
    assert merge([part, other]).absent == ()

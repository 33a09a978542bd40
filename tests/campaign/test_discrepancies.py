"""Differences between devices: of unmutated builds, and of mutants beyond those."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.rows_by_hand import mutant_row
from tvm_mutate.campaign import Subject
from tvm_mutate.campaign.discrepancies import Unmutated, find_agreements, find_discrepancies, undefined_requests
from tvm_mutate.campaign.pool import WorkerPool
from tvm_mutate.campaign.worker import UndefinedRequest
from tvm_mutate.device import Device
from tvm_mutate.oracle import Outcome
from tvm_mutate.results import MutantRow, find_fault, write_json
from tvm_mutate.samples import Samples

from .conftest import campaign

V3 = 'v3={"kind":"llvm","mcpu":"x86-64-v3"}'
FAST = 'fast={"kind":"llvm","fast-math":true}'
DEVICES = ("llvm", V3, FAST, "c")
OUTSIDE = "tir.swap-compare{from=lt,to=le}@fused_conv2d_relu#*"
STEADY = "tir.swap-compare{from=gt,to=ge}@*#*"
SCORES = np.array([[3.0, 1.0], [1.0, 3.0], [3.0, 2.0]])


def builds(second: np.ndarray, noise: float = 0.0) -> dict[tuple[str, str], Unmutated]:
    return {
        ("net", "a"): Unmutated([0, 1, 0], Samples((SCORES,)), noise),
        ("net", "b"): Unmutated(np.argmax(second, axis=1).tolist(), Samples((second,)), noise),
    }


def row(device: str, labels: list[int] | None, **more: object) -> MutantRow:
    return mutant_row(model="net", device=device, labels=labels, outcome="completed" if labels else "crash", **more)


def test_unmutated_builds_agree_in_bits_or_by_a_largest_difference_and_in_labels():
    (same,) = find_agreements(builds(SCORES), ["a", "b"])
    assert (same.bitwise_equal, same.max_abs_diff, same.differing_labels, same.floor) == (3, 0.0, 0, 0.0)
    (near,) = find_agreements(builds(np.add(SCORES, [[0, 0], [2.5, 0], [0, 0.25]]), noise=0.5), ["a", "b"])
    assert (near.bitwise_equal, near.max_abs_diff, near.max_rel_diff) == (1, 2.5, 2.5)
    assert (near.differing_labels, near.differing_inputs, near.floor) == (1, (1,), 3.5)


def test_labels_count_raw_and_beyond_the_inputs_on_which_the_unmutated_builds_differ():
    second = np.add(SCORES, [[0, 0], [2.5, 0], [0, 0]])  # labelled 0, 0, 0 where the first is 0, 1, 0
    (found,) = find_discrepancies([row("a", [0, 1, 0]), row("b", [1, 0, 0])], builds(second), ["a", "b"])
    assert (found.share, found.unmutated_share, found.beyond_share) == (2 / 3, 1 / 3, 1 / 3)
    assert (found.max_abs_diff, found.beyond_floor) == (None, None)
    assert found.is_discrepant
    (ordinary,) = find_discrepancies([row("a", [0, 1, 0]), row("b", [0, 0, 0])], builds(second), ["a", "b"])
    assert (ordinary.share, ordinary.beyond_share) == (1 / 3, 0.0)
    assert not ordinary.is_discrepant


def test_scores_count_beyond_the_difference_of_the_unmutated_builds_and_the_noise_of_both():
    scores = {"a": SCORES, "b": np.add(SCORES, [[0.9, 0], [1.1, 0], [np.nan, 0]])}
    rows = [row("a", [0, 1, 0]), row("b", [0, 1, 0])]
    golden = builds(SCORES + 0.5, noise=0.25)
    (found,) = find_discrepancies(rows, golden, ["a", "b"], lambda each: Samples((scores[each.device],)))
    assert (found.floor, found.beyond_floor) == (1.0, 2)
    assert found.max_abs_diff == pytest.approx(1.1)
    assert found.beyond_share == 0.0 and found.is_discrepant


def test_a_mutant_that_stopped_early_is_compared_on_the_inputs_that_both_ran():
    (found,) = find_discrepancies([row("a", [1]), row("b", [0, 1, 0])], builds(SCORES), ["a", "b"])
    assert (found.share, found.beyond_share) == (1.0, 1.0)


def test_a_crash_on_one_device_only_is_a_discrepancy_and_a_compile_error_is_none():
    (crash,) = find_discrepancies([row("a", None), row("b", [0, 1, 0])], builds(SCORES), ["a", "b"])
    assert (crash.share, crash.beyond_share) == (None, None)
    assert crash.is_discrepant
    assert not msgspec.structs.replace(crash, outcomes=(Outcome.COMPILE_ERROR, Outcome.COMPLETED)).is_discrepant


def test_discrepant_mutants_all_mutants_or_none_are_examined(subject: Subject):
    more = {"rung": "label changed", "verdict": "killed", "undefined": None}
    rows = [row("a", [0, 1, 0], **more), row("b", [1, 1, 0], **more)]
    other = [msgspec.structs.replace(each, id="n", labels=(0, 1, 0)) for each in rows]
    net = replace(subject, name="net")
    devices = [Device("a", '{"kind":"llvm","mtriple":"aarch64-linux-gnu"}'), Device("b", "c")]
    found = find_discrepancies([*rows, *other], builds(SCORES), ["a", "b"])

    def asked(named: str) -> list[tuple[str, str]]:
        requests = undefined_requests(named, [*rows, *other], found, [net], devices)
        return [(request.mutant, request.device.name) for request in requests]

    assert asked("discrepant") == [("m", "b")]  # code for another processor is not run here
    assert asked("all") == [("m", "b"), ("n", "b")]
    assert asked("none") == []


def test_a_campaign_on_four_targets_finds_discrepant_mutants_and_accesses_outside_buffers(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = campaign(subject, tmp_path / "out", OUTSIDE, STEADY, devices=DEVICES, name_undefined="all").run()
    agreements = {tuple(each.devices): each for each in first.agreements}
    assert len(agreements) == 6
    assert agreements["llvm", "c"].bitwise_equal == agreements["llvm", "c"].inputs
    assert 0 < agreements["llvm", "v3"].max_abs_diff <= agreements["llvm", "v3"].floor < 1e-3
    behaviours = {each.id: each for each in first.undefined}
    assert behaviours[OUTSIDE].behaviour == "undefined"
    assert behaviours[OUTSIDE].kernels == ("fused_conv2d_relu",)
    assert behaviours[STEADY].behaviour == "defined"
    steady = [each for each in first.discrepancies if each.id == STEADY]
    assert len(steady) == 6
    assert all(each.beyond_floor == 0 and each.behaviour is None for each in steady)
    assert all(each.max_abs_diff <= each.floor for each in first.discrepancies if each.id == STEADY)
    assert find_fault(json.loads(write_json(first, tmp_path).read_text())) is None

    asked: list[object] = []
    plain = WorkerPool.submit
    monkeypatch.setattr(
        WorkerPool, "submit", lambda self, jobs: plain(self, [asked.append(j.request) or j for j in jobs])
    )
    second = campaign(subject, tmp_path / "out", OUTSIDE, STEADY, devices=DEVICES, name_undefined="all").run()
    assert second.discrepancies == first.discrepancies and second.undefined == first.undefined
    assert not [each for each in asked if isinstance(each, UndefinedRequest)]

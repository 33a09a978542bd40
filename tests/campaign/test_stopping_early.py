"""Campaigns that do not run a mutant on all inputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tvm_mutate.campaign import Subject
from tvm_mutate.results import write_json

from .conftest import INPUTS, campaign

NOTICED = "graph.replace-activation{to=tanh}@main#*"
UNNOTICED = "tir.swap-compare{from=gt,to=ge}@*#*"


@pytest.mark.parametrize("rebuild", [False, True], ids=["by content", "by rebuild"])
def test_until_killed_runs_a_mutant_up_to_the_first_input_that_the_oracle_notices(
    subject: Subject, tmp_path: Path, rebuild: bool
):
    specification = {"until": "killed", "oracle": "bitwise", "rebuild": rebuild}
    planned = campaign(
        subject, tmp_path / "out", NOTICED, UNNOTICED, devices=("llvm", "c"), specification=specification
    )
    results = planned.run()
    rows = {(row.id, row.device): row for row in results.mutants}
    for device in ("llvm", "c"):
        assert (rows[NOTICED, device].verdict, rows[NOTICED, device].inputs) == ("killed", 1)
        assert (rows[UNNOTICED, device].verdict, rows[UNNOTICED, device].inputs) == ("survived", INPUTS)
    assert {len(row.labels) for row in results.mutants} == {1, INPUTS}
    assert write_json(results, tmp_path)


def test_a_precision_stops_when_the_share_of_changed_labels_is_known_well_enough(subject: Subject, tmp_path: Path):
    (row,) = campaign(subject, tmp_path / "out", UNNOTICED, specification={"precision": 0.6}).run().mutants
    # The 95 % Wilson interval of 0 changed labels of 3 is the first that is at most 0.6 wide: 0 to 0.56.
    assert (row.inputs, row.changed_labels) == (3, 0)


def test_without_fast_kernels_the_outputs_are_the_same(subject: Subject, tmp_path: Path):
    digests = {
        campaign(subject, tmp_path / str(fast), NOTICED, specification={"fast_kernels": fast})
        .run()
        .mutants[0]
        .outputs_digest
        for fast in (True, False)
    }
    assert len(digests) == 1

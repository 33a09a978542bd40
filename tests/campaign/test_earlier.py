"""Verdicts that are carried over from an earlier campaign, and those that are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.rows_by_hand import mutant_row
from tvm_mutate.campaign import Campaign, Journal, Specification, Subject, Survey, prepare_subject
from tvm_mutate.campaign.journal import EarlierCampaign
from tvm_mutate.campaign.plan import Plan
from tvm_mutate.device import Device
from tvm_mutate.errors import UsageError
from tvm_mutate.results import MutantRow

from .conftest import NETWORK, campaign

KILLED = "graph.replace-activation{to=tanh}@main#*"
SURVIVED = "tir.swap-compare{from=gt,to=ge}@*#*"
EQUIVALENT = "tir.scale-store{epsilon=1e-08}@*#*"
OF_CONVOLUTION = "tir.store-through{type=int8}@fused_conv2d_relu#2"
DEVICE = Device("llvm", "llvm")
SUBJECT = Subject("m", "m.py", "model digest", "inputs.npy", "inputs digest", 3)
SPECIFICATION = Specification()
VERSIONS = {"apache-tvm": "1"}


def plan_of(**changes) -> Plan:
    plan = Plan((SUBJECT,), (("llvm", "llvm"), ("other", "c")), SPECIFICATION, VERSIONS)
    return replace(plan, **changes)


def row(mutant: str, verdict: str | None = "killed", device: str = "llvm", **more) -> MutantRow:
    return mutant_row(device=device, id=mutant, verdict=verdict, **{"place_digest": "p", **more})


def earlier(folder: Path, *rows: MutantRow, now: Plan | None = None) -> EarlierCampaign:
    plan = plan_of()
    journal = Journal(folder, plan.digest(), plan.mapping())
    for each in rows:
        journal.add(each)
    journal.close()
    return EarlierCampaign(folder, now or plan)


def test_killed_and_equivalent_rows_of_an_unchanged_place_are_carried_and_marked(tmp_path: Path):
    rows = [row("a"), row("b", "equivalent"), row("c", "survived"), row("d", None), row("e", place_digest="old")]
    survey = Survey(tuple("abcdef"), {}, dict.fromkeys("abcdef", "p"))
    carried = earlier(tmp_path / "out", *rows).reusable(SUBJECT, DEVICE, survey)
    assert carried == {"a": row("a", carried=True), "b": row("b", "equivalent", carried=True)}


def test_rows_are_found_by_target_whatever_the_device_is_called(tmp_path: Path):
    found = earlier(tmp_path / "out", row("a", device="other"))
    survey = Survey(("a",), {}, {"a": "p"})
    assert found.reusable(SUBJECT, DEVICE, survey) == {}
    assert found.reusable(SUBJECT, Device("mine", "c"), survey)["a"].device == "mine"


def test_nothing_is_carried_for_other_inputs(tmp_path: Path):
    found = earlier(tmp_path / "out", row("a"))
    other = replace(SUBJECT, inputs_digest="others")
    assert found.reusable(other, DEVICE, Survey(("a",), {}, {"a": "p"})) == {}


@pytest.mark.parametrize(
    ("now", "why"),
    [
        ({"versions": {"apache-tvm": "2"}}, "it had apache-tvm 1, and this is 2"),
        ({"specification": replace(SPECIFICATION, oracle="bitwise")}, "it had --oracle top-1, and this has bitwise"),
        ({"specification": replace(SPECIFICATION, until="killed")}, "it had --until"),
        ({"specification": replace(SPECIFICATION, precision=0.1)}, "it had --precision None, and this has 0.1"),
    ],
)
def test_a_campaign_that_judged_otherwise_is_an_obstacle_that_is_told(tmp_path: Path, now: dict, why: str):
    found = earlier(tmp_path / "out", row("a"), now=plan_of(**now))
    assert found.obstacle.startswith(why)
    assert found.reusable(SUBJECT, DEVICE, Survey(("a",), {}, {"a": "p"})) == {}


def evaluated(results) -> set[str]:
    return {row.id for row in results.mutants if not row.carried}


def test_a_second_campaign_evaluates_survivors_and_changed_kernels_only(tmp_path: Path):
    """The dense layer of the network is another one in the second campaign: its convolution is as it was."""
    mutants = (KILLED, SURVIVED, EQUIVALENT, OF_CONVOLUTION)
    bitwise = {"specification": {"oracle": "bitwise"}}
    np.save(tmp_path / "inputs.npy", np.random.default_rng(1).normal(size=(3, 3, 4, 4)).astype("float32"))
    network = tmp_path / "network.py"
    subjects = []
    for columns in (5, 6):
        network.write_text(NETWORK.replace("size=(64, 5)", f"size=(64, {columns})"))
        folder = tmp_path / str(columns)
        folder.mkdir()
        subjects.append(prepare_subject(str(network), tmp_path / "inputs.npy", folder))
        if columns == 5:
            results = campaign(subjects[0], tmp_path / "out5", *mutants, **bitwise).run()
            again = campaign(subjects[0], tmp_path / "again", *mutants, iterate=tmp_path / "out5", **bitwise).run()
    first = {row.id: row for row in results.mutants}
    assert {mutant: row.verdict for mutant, row in first.items()} == {
        KILLED: "killed", SURVIVED: "survived", EQUIVALENT: "equivalent", OF_CONVOLUTION: "killed"
    }  # fmt: skip
    assert not any(row.carried for row in first.values())
    assert evaluated(again) == {SURVIVED}
    for row in again.mutants:
        if row.carried:
            assert msgspec.structs.replace(row, carried=False) == first[row.id]
    changed = campaign(subjects[1], tmp_path / "changed", *mutants, iterate=tmp_path / "out5", **bitwise).run()
    assert evaluated(changed) == {KILLED, SURVIVED, EQUIVALENT}
    assert [row.id for row in changed.mutants] == list(mutants)
    resumed = campaign(subjects[1], tmp_path / "changed", *mutants, **bitwise).run()
    assert resumed.mutants == changed.mutants


def test_a_folder_that_is_no_earlier_campaign_is_refused_before_anything_is_written(subject: Subject, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="holds no journal of a campaign"):
        campaign(subject, out, KILLED, iterate=tmp_path / "nowhere").run()
    with pytest.raises(UsageError, match="names the output folder itself"):
        Campaign([subject], [DEVICE], Specification(), out, iterate=out).run()
    assert not out.exists()

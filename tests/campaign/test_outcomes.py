"""Outcomes of mutants that crash, hang, do not compile or write out of bounds, and of faults in the compiler."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from tvm_mutate.campaign import Specification, Subject
from tvm_mutate.device import through
from tvm_mutate.pipeline import Flow
from tvm_mutate.results import write_json

from .conftest import INPUTS, campaign

HARMLESS = "tir.swap-compare{from=gt,to=ge}@*#*"
KILLED = "graph.replace-activation{to=tanh}@main#*"
SAME_CODE = "pipeline.skip-pass{pass=tirx.VectorizeLoop}@*#*"
SURVIVOR = "pipeline.skip-pass{pass=tirx.LowerIntrin}@*#*"
REFUSED = "pipeline.skip-pass{pass=s_tir.LowerInitBlock}@*#*"
PLANNED_OTHERWISE = "pipeline.skip-pass{pass=StaticPlanBlockMemory}@*#*"
BOTH = f"{KILLED}+pipeline.skip-pass{{pass=tirx.CommonSubexprElim}}@*#*"
LIMIT = 3.0


def test_four_hostile_mutants_are_four_outcomes_of_one_finished_campaign(
    subject: Subject, tmp_path: Path, hostile_package: None
):
    hostile = [f"tir.hostile-{name}@*#*" for name in ("crash", "hang", "not-compile", "write-beyond")]
    devices = ("llvm", "c")
    mutants = (*hostile, HARMLESS, KILLED)
    results = campaign(subject, tmp_path / "out", *mutants, devices=devices, least_seconds=LIMIT).run()
    assert all(canary.ok for canary in results.canaries)
    rows = {(row.id, row.device): row for row in results.mutants}
    assert sorted(rows) == sorted((mutant, device) for mutant in mutants for device in devices)
    for device in devices:
        crash, hang, not_compile, beyond = (rows[mutant, device] for mutant in hostile)
        assert (crash.outcome, crash.verdict, crash.rung) == ("crash", "killed", "reached")
        assert crash.sites > 0 and crash.dissimilarity is None
        assert "SIGSEGV" in crash.reason
        assert (hang.outcome, hang.verdict) == ("timeout", "killed")
        assert hang.reason.endswith(": no end within the time limit")  # no measured number: it is the same every time
        assert (not_compile.outcome, not_compile.verdict) == ("compile error", None)
        assert beyond.outcome in ("completed", "crash")
    # What came after the worst of them is judged as if alone.
    alone = campaign(subject, tmp_path / "alone", HARMLESS, KILLED, devices=devices).run()
    for row in alone.mutants:
        after = rows[row.id, row.device]
        for name in ("verdict", "labels", "max_abs_diff", "changed_labels"):
            assert getattr(after, name) == getattr(row, name)


@pytest.mark.parametrize("rebuild", [False, True], ids=["by content", "by rebuild"])
def test_an_operator_that_raises_loses_its_own_mutants_only(
    subject: Subject, tmp_path: Path, hostile_package: None, rebuild: bool
):
    notes: list[str] = []
    asked = campaign(subject, tmp_path / "out", reporter=Mock(note=notes.append))
    asked.specification = Specification(("graph.replace-activation", "tir.hostile-raise*"), rebuild=rebuild)
    results = asked.run()
    lost = [row for row in results.absent if "hostile" in row.id]
    assert [(row.id, row.reason) for row in lost] == [
        ("tir.hostile-raise@*#*", "tir.hostile-raise raises ValueError: no such place")
    ]
    assert notes == ["network on llvm: left out: tir.hostile-raise raises ValueError: no such place"]
    *others, late = results.mutants
    assert (late.id, late.outcome, late.verdict) == ("tir.hostile-raise-late@*#*", "compile error", None)
    assert "tir.hostile-raise-late on fused_conv2d_relu raises ValueError: no such place" in late.reason
    assert len(others) > 3 and {row.outcome for row in others} == {"completed"}


@pytest.mark.parametrize("rebuild", [False, True], ids=["by content", "by rebuild"])
def test_a_mutant_that_takes_all_memory_is_a_compile_error_of_that_mutant_only(
    subject: Subject, tmp_path: Path, hostile_package: None, rebuild: bool
):
    greedy = "tir.hostile-take-memory@*#*"
    options = {"specification": {"rebuild": rebuild}}
    row, other = campaign(subject, tmp_path / "out", greedy, KILLED, **options).run().mutants
    assert (row.outcome, row.verdict) == ("compile error", None)  # it was in the compiler that it did so
    assert "Unable to allocate" in row.reason
    assert (other.outcome, other.verdict) == ("completed", "killed")


def test_faults_of_the_compiler_have_outcomes_but_are_in_no_score(subject: Subject, tmp_path: Path):
    mutants = (KILLED, SAME_CODE, SURVIVOR, REFUSED, PLANNED_OTHERWISE, BOTH)
    results = campaign(subject, tmp_path / "out", *mutants).run()
    rows = {row.id: row for row in results.mutants}
    ended = {mutant: (row.outcome, row.verdict, row.evaluation) for mutant, row in rows.items()}
    assert ended == {
        KILLED: ("completed", "killed", "content"),
        SAME_CODE: ("completed", "equivalent", "content"),
        SURVIVOR: ("completed", "survived", "content"),
        REFUSED: ("compile error", None, "content"),
        PLANNED_OTHERWISE: ("completed", "survived", "rebuild"),
        BOTH: ("completed", "killed", "content"),
    }
    assert rows[REFUSED].sites == rows[REFUSED].functions == 2
    assert "planning of memory" in rows[PLANNED_OTHERWISE].evaluation_reason
    assert {row.category for mutant, row in rows.items() if mutant != KILLED} == {"Compiler Passes"}
    assert {row.slot for mutant, row in rows.items() if mutant != KILLED} == {"pipeline"}
    assert results.score.value == 1.0


def test_a_campaign_on_pipeline_operators_has_no_other_mutants(subject: Subject, tmp_path: Path):
    asked = campaign(subject, tmp_path / "out")
    asked.specification = Specification(operators=("pipeline",), sites="sample:4", seed=3)
    results = asked.run()
    assert len(results.mutants) == 4
    assert {row.operator.split(".")[0] for row in results.mutants} == {"pipeline"}
    assert results.score.value is None


@pytest.mark.parametrize("rebuild", [False, True], ids=["by content", "by rebuild"])
def test_until_killed_runs_a_mutant_up_to_the_first_input_that_the_oracle_notices(
    subject: Subject, tmp_path: Path, rebuild: bool
):
    specification = {"until": "killed", "oracles": ("bitwise",), "rebuild": rebuild}
    planned = campaign(subject, tmp_path / "out", KILLED, HARMLESS, specification=specification)
    results = planned.run()
    stopped, complete = results.mutants
    assert (stopped.id, stopped.verdict, stopped.inputs) == (KILLED, "killed", 1)
    assert (complete.id, complete.verdict, complete.inputs) == (HARMLESS, "survived", INPUTS)
    assert (len(stopped.labels), len(complete.labels)) == (1, INPUTS)
    assert write_json(results, tmp_path)


def test_a_precision_stops_when_the_interval_of_changed_labels_is_narrow_enough(subject: Subject, tmp_path: Path):
    (row,) = campaign(subject, tmp_path / "out", HARMLESS, specification={"precision": 0.6}).run().mutants
    # The 95 % Wilson interval of 0 changed labels of 3 is the first that is at most 0.6 wide: 0 to 0.56.
    assert (row.inputs, row.changed_labels) == (3, 0)


FLOW = """
import tvm
from tvm import relax, tirx
from tvm.relax.dpl import is_op, rewrite_call, wildcard


@relax.transform.function_pass(opt_level=0, name="ToTanh")
def to_tanh(function, _module, _context):
    x = wildcard()
    return rewrite_call(is_op("relax.nn.relu")(x), lambda _, found: relax.op.tanh(found[x]), function)


def graph():
    return tvm.transform.Sequential([to_tanh, relax.get_pipeline("zero")])


def kernels():
    return tvm.transform.Sequential([tirx.transform.StmtSimplify(), tirx.get_tir_pipeline("default")[0]])
"""


def test_mutants_of_a_flow_of_the_user_have_the_same_bits_kernel_by_kernel_and_rebuilt(
    subject: Subject, tmp_path: Path
):
    file = tmp_path / "flow.py"
    file.write_text(FLOW)
    mutants = ("pipeline.skip-pass{pass=ToTanh}@*#*", "tir.store-zero@fused_conv2d_tir_tanh#*")
    rows = {}
    for rebuild in (False, True):
        asked = campaign(subject, tmp_path / str(rebuild), *mutants, specification={"rebuild": rebuild})
        flow = Flow.read(f"{file}:graph", f"{file}:kernels", {"opt_level": 1})
        asked.devices = through(flow, asked.devices)
        results = asked.run()
        assert results.devices[0].flow.digest == flow.digest
        rows[rebuild] = results.mutants
    by_content, rebuilt = rows[False], rows[True]
    assert {row.evaluation for row in by_content} == {"content"} and {row.evaluation for row in rebuilt} == {"rebuild"}
    digests = [row.outputs_digest for row in by_content]
    assert digests == [row.outputs_digest for row in rebuilt] and len({*digests}) == 2
    assert {row.outcome for row in by_content} == {"completed"}

"""Programs of several functions, inputs and outputs, with symbolic shapes and state, have the bits of the rebuild."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tvm.script import from_source

from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.evaluate import Evaluation, Unsuitable
from tvm_mutate.evaluate.program import KernelCall, NotStraightLineError, take_program
from tvm_mutate.model import Workload
from tvm_mutate.model.model import model_from_module
from tvm_mutate.mutant import Slot
from tvm_mutate.samples import Samples
from tvm_mutate.scenario import Call, Scenario

from .conftest import CATALOGUE, Both

# A recurrence: every step takes the state of the step before, and the state grows by a row.
RECURRENCE = """
@I.ir_module
class Module:
    @R.function
    def start(x: R.Tensor((1, "n"), "float32"), ids: R.Tensor((1, "n"), "int64")):
        with R.dataflow():
            a = R.multiply(R.add(x, R.const(1.5, "float32")), R.astype(ids, "float32"))
            total = R.sum(a, axis=[1], keepdims=True)
            R.output(a, total)
        return (a, (total, ids))

    @R.function
    def step(x: R.Tensor((1, "n"), "float32"), state: R.Tensor(("m", "n"), "float32")):
        with R.dataflow():
            b = R.concat([state, R.tanh(x)], axis=0)
            c = R.matmul(b, R.permute_dims(x))
            label = R.argmax(c, axis=0)
            R.output(b, c, label)
        return (b, c, label)
"""
SCENARIO = Scenario(
    (Call("start", ("state", "total")), Call("step", ("state", "scores", "label"), repeat=2)),
    returns=("total", "scores", "label"),
)
WIDTH, STEPS = 5, 2


def samples(width: int = WIDTH) -> Samples:
    random = np.random.default_rng(0)
    return Samples((random.normal(size=(2, 1, width)).astype("float32"), random.integers(1, 9, size=(2, 1, width))))


@pytest.fixture(scope="module")
def recurrence(tmp_path_factory: pytest.TempPathFactory) -> Both:
    model = model_from_module(from_source(RECURRENCE), "recurrence", scenario=SCENARIO)
    return Both("llvm", tmp_path_factory.mktemp("recurrence"), model=model, samples=samples())


def expected(x: np.ndarray, ids: np.ndarray) -> list[np.ndarray]:
    state = (x + np.float32(1.5)) * ids.astype("float32")
    found = [state.sum(axis=1, keepdims=True)]
    for _ in range(STEPS):
        state = np.concatenate([state, np.tanh(x)])
        found += [state @ x.T, np.argmax(state @ x.T, axis=0)]
    return found


def test_a_scenario_computes_what_numpy_computes(recurrence: Both):
    for position in range(2):
        found = recurrence.scores[position]
        for one, other in zip(found, expected(*recurrence.workload.samples[position]), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_symbolic_kernel_is_called_with_the_shapes_of_each_step(recurrence: Both):
    program = recurrence.content.program
    grown = [step for step in program.steps if isinstance(step, KernelCall) and step.kernel.startswith("concatenate")]
    assert len({step.kernel for step in grown}) == 1
    assert [program.types[step.results[0]].shape for step in grown] == [(2, WIDTH), (3, WIDTH)]


@pytest.mark.parametrize("slots", [(), ("lowered",)])
def test_mutants_of_a_scenario_of_symbolic_shapes_have_the_bits_of_the_full_rebuild(recurrence: Both, slots):
    mutants = survey(recurrence.stages, Specification(sites="sample:12", seed=1, slots=slots), CATALOGUE).mutants
    compared = 0
    for mutant in mutants:
        found = recurrence.run(mutant)
        if not isinstance(found, Unsuitable) and not found.undefined:
            rebuilt = recurrence.rebuilt(mutant)
            assert recurrence.scores_of(found).has_bits_of(recurrence.scores_of(rebuilt)), mutant
            compared += 1
    assert compared >= 6


def test_a_fault_in_the_function_that_computes_shapes_needs_the_rebuild(recurrence: Both):
    found = recurrence.run("tir.store-zero{slot=lowered}@shape_func#*")
    assert isinstance(found, Unsuitable)
    assert found.reason == "shape_func computes shapes: kernels one by one do without it"


def test_a_mutant_of_all_functions_leaves_out_those_that_compute_shapes(recurrence: Both):
    found = recurrence.run("tir.scale-store{epsilon=0.5,slot=lowered}@*#*")
    assert isinstance(found, Evaluation) and found.infected
    every_site = Specification(operators=("tir.store-zero",), slots=("lowered",), sites="each")
    ids = survey(recurrence.stages, every_site, CATALOGUE).mutants
    assert ids and not any("shape_func" in each for each in ids)


def test_a_fault_in_a_step_reaches_later_steps_through_the_state(recurrence: Both):
    run = recurrence.run("tir.scale-store{epsilon=0.5}@concatenate*#0")
    later = recurrence.scores.arrays[3], run.outputs.arrays[3]
    assert (later[0] != later[1]).any()
    assert recurrence.scores.arrays[0].tobytes() == run.outputs.arrays[0].tobytes()


def test_shapes_that_break_a_constraint_are_no_straight_line(recurrence: Both):
    wrong = Samples((np.zeros((1, 1, 4), "float32"), np.zeros((1, 1, 5), "int64")))
    with pytest.raises(NotStraightLineError, match=r"a value of shape \[1, 5\] is where"):
        take_program(recurrence.stages.at(Slot.KERNEL), Workload(recurrence.workload.scenario, wrong))


WITHOUT_KERNEL = """
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((1, 3), "float32"), counts: R.Tensor((1, 3), "int64")):
        with R.dataflow():
            scaled = R.multiply(x, R.const(2.0, "float32"))
            doubled = R.add(counts, counts)
            R.output(scaled, doubled)
        return (scaled, doubled)
"""


def test_a_fault_that_makes_an_input_the_output_is_reached_and_infects_although_no_kernel_runs(tmp_path: Path):
    model = model_from_module(from_source(WITHOUT_KERNEL), "without_kernel")
    both = Both("llvm", tmp_path, model=model, samples=samples(3))
    mutant = "graph.drop-operand{keep=first}@main#0"
    run = both.run(mutant)
    assert (run.kernel_runs, run.reached, run.infected) == (0, True, True)
    assert run.outputs.has_bits_of(both.rebuilt(mutant).outputs)

"""Content-addressed evaluation agrees bit for bit with the full rebuild, and tells what a whole run cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tvm_mutate.build import parse_target
from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.device import Device
from tvm_mutate.evaluate import ContentEvaluator, RebuildEvaluator, Run, Unsuitable, golden_in_child
from tvm_mutate.model import load_inputs, load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.pipeline import FoldingCache, Fused, Stages
from tvm_mutate.program import KernelCall, NotStraightLineError, take_program
from tvm_mutate.zoo import ZOO_NAMES

CATALOGUE = builtin_catalogue()
MODEL, IMAGES, SECONDS = "zoo://alexnet", 3, 120.0
GOLDEN_BYTES = 1 << 28


class Both:
    """The two evaluators of one model on one device."""

    def __init__(self, device: str, folder: Path, golden_bytes: int = GOLDEN_BYTES) -> None:
        model = load_model(MODEL)
        self.inputs = load_inputs("zoo://digits", model, limit=IMAGES).data
        self.stages = Stages(Fused(model.module, FoldingCache()), parse_target(device))
        here = Device.parse(device)
        ending = golden_in_child(self.stages, self.inputs, folder / "golden.bin", golden_bytes, SECONDS)
        self.golden, self.scores = ending.value
        self.rebuild = RebuildEvaluator(self.stages, self.inputs, here, CATALOGUE)
        self.content = ContentEvaluator(self.stages, self.inputs, here, CATALOGUE, self.golden, folder / "kernels")
        self.unmutated: Run = self.rebuild.evaluate(None, SECONDS).value

    def run(self, mutant: str) -> Run:
        return self.content.evaluate(CATALOGUE.parse(mutant), SECONDS, self.unmutated.digest).value

    def scores_of(self, run: Run) -> np.ndarray:
        return self.scores if run.outputs is None else run.outputs


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both("llvm", tmp_path_factory.mktemp("content"))


@pytest.mark.parametrize("name", ZOO_NAMES)
def test_every_model_of_the_zoo_is_a_straight_line_of_kernel_calls(name: str):
    program = take_program(Stages(load_model(f"zoo://{name}").module, parse_target("llvm")).at(Slot.KERNEL))
    called = {step.kernel for step in program.steps if isinstance(step, KernelCall)}
    assert called == set(program.kernels)
    assert [program.types[number].shape for number in program.outputs] == [(1, 10)]
    written = set(program.writers()) | set(program.inputs) | set(program.constants)
    assert written == set(range(len(program.types)))


def test_the_unmutated_model_gives_the_same_bits_kernel_by_kernel_and_as_a_whole(both: Both):
    assert both.scores.tobytes() == both.unmutated.outputs.tobytes()


@pytest.mark.parametrize("slots", [(), ("lowered",)])
def test_sampled_mutants_give_the_bits_of_the_full_rebuild_unless_they_are_named_undefined(both: Both, slots):
    specification = Specification(sites="sample:14", seed=5, slots=slots)
    mutants = survey(both.stages, specification, CATALOGUE).mutants
    compared = 0
    for mutant in mutants:
        found = both.run(mutant)
        if isinstance(found, Unsuitable) or found.undefined:
            continue
        rebuilt = both.rebuild.evaluate(CATALOGUE.parse(mutant), SECONDS, both.unmutated.digest).value
        assert both.scores_of(found).tobytes() == both.scores_of(rebuilt).tobytes(), mutant
        compared += 1
    assert compared >= len(mutants) // 2


def test_a_mutant_with_the_code_of_the_unmutated_model_runs_no_kernel(both: Both):
    run = both.run("tir.scale-store{epsilon=1e-08}@fused_matmul2_add5#0")
    assert (run.outputs, run.digest, run.kernel_runs) == (None, both.unmutated.digest, 0)


def test_only_the_last_kernel_runs_for_a_mutant_of_the_last_kernel(both: Both):
    run = both.run("tir.offset-store@fused_matmul2_add5#2")
    assert (run.reached, run.infected, run.kernel_runs, run.undefined) == (True, True, IMAGES, ())


def test_a_mutant_that_is_reached_but_does_not_infect_runs_nothing_behind_it(both: Both):
    (mutant,) = [
        each
        for each in survey(both.stages, Specification(("tir.swap-compare",), sites="each"), CATALOGUE).mutants
        if each.startswith("tir.swap-compare{from=gt,to=ge}@fused_matmul1_add4")
    ]
    run = both.run(mutant)
    assert (run.reached, run.infected, run.kernel_runs) == (True, False, IMAGES)
    assert both.scores_of(run).tobytes() == both.scores.tobytes()


def test_reading_memory_that_was_never_written_is_named_and_gives_the_same_garbage_every_time(both: Both):
    mutant = "tir.loop-extent@fused_conv2d4_add3_relu3#8"
    runs = [both.run(mutant) for _ in range(2)]
    assert all(run.undefined for run in runs)
    assert runs[0].outputs.tobytes() == runs[1].outputs.tobytes()


def test_a_mutant_that_changes_nearly_all_kernels_is_left_to_the_rebuild(both: Both):
    found = both.run("tir.offset-store@*#*")
    assert isinstance(found, Unsuitable)
    assert "kernels changed" in found.reason


def test_golden_values_beyond_the_room_for_them_are_calculated_again(both: Both, tmp_path: Path):
    record = both.golden.record_bytes
    cramped = Both("llvm", tmp_path, golden_bytes=record)
    assert (cramped.golden.stored, both.golden.stored) == (1, IMAGES)
    mutant = "tir.offset-store@fused_matmul1_add4_relu4#2"
    assert cramped.run(mutant).outputs.tobytes() == both.run(mutant).outputs.tobytes()


def test_a_mutant_cannot_change_the_golden_values(both: Both):
    before = Path(both.golden.path).read_bytes()
    both.run("tir.loop-extent{by=100000}@fused_matmul2_add5#0")
    assert Path(both.golden.path).read_bytes() == before
    values = both.golden.values(both.content.program, 0)
    next(iter(values.values()))[...] = 7
    assert Path(both.golden.path).read_bytes() == before


def test_control_flow_is_refused_with_its_reason():
    from tvm.script import from_source

    branching = from_source(
        """
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((2,), "float32"), c: R.Tensor((), "bool")):
        if c:
            y: R.Tensor((2,), "float32") = R.exp(x)
        else:
            y: R.Tensor((2,), "float32") = R.negative(x)
        return y
"""
    )
    with pytest.raises(NotStraightLineError, match="If"):
        take_program(branching)

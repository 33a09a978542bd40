"""Content-addressed evaluation has the bits of the full rebuild, and finds more than a whole run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.evaluate import StopRule, Unsuitable
from tvm_mutate.evaluate.memory import READ, WRITE
from tvm_mutate.evaluate.program import KernelCall, NotStraightLineError, take_program
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import Workload, load_inputs, load_model
from tvm_mutate.model.zoo import ZOO_NAMES
from tvm_mutate.mutant import Slot
from tvm_mutate.oracle import parse_oracle
from tvm_mutate.pipeline import Stages
from tvm_mutate.samples import Samples

from .conftest import CATALOGUE, IMAGES, SECONDS, Both


@pytest.mark.parametrize("name", ZOO_NAMES)
def test_every_model_of_the_zoo_is_a_straight_line_of_kernel_calls(name: str):
    model = load_model(f"zoo://{name}")
    workload = Workload(model.scenario, load_inputs("zoo://digits", model, limit=1).samples)
    program = take_program(Stages(model.module, parse_target("llvm")).at(Slot.KERNEL), workload)
    called = {step.kernel for step in program.steps if isinstance(step, KernelCall)}
    assert called == set(program.kernels)
    assert [program.types[number].shape for number in program.outputs] == [(1, 10)]
    written = set(program.writers()) | set(program.inputs) | set(program.constants)
    assert written == set(range(len(program.types)))


def compared(both: Both, mutants: list[str]) -> int:
    """How many mutants have defined outputs, which are those of the full rebuild bit by bit."""
    count = 0
    for mutant in mutants:
        found = both.run(mutant)
        if not isinstance(found, Unsuitable) and not found.undefined:
            assert both.scores_of(found).tobytes() == both.scores_of(both.rebuilt(mutant)).tobytes(), mutant
            count += 1
    return count


@pytest.mark.parametrize("slots", [(), ("lowered",)])
def test_sampled_mutants_give_the_bits_of_the_full_rebuild_unless_they_are_named_undefined(both: Both, slots):
    mutants = survey(both.stages, Specification(sites="sample:8", seed=5, slots=slots), CATALOGUE).mutants
    assert compared(both, list(mutants)) >= len(mutants) // 2


def test_with_fast_kernels_for_the_rest_the_bits_are_still_those_of_the_full_rebuild(fast: Both):
    assert fast.prepared.fast is not None and len(fast.prepared.fast.digests) > 5
    assert fast.prepared.fast.digests.keys() <= fast.prepared.plain.digests.keys()
    mutants = survey(fast.stages, Specification(sites="sample:6", seed=6), CATALOGUE).mutants
    assert compared(fast, list(mutants)) >= 3


def test_mutants_of_all_sites_change_most_kernels_and_are_evaluated_by_content(both: Both):
    mutants = [
        "tir.offset-store@*#*",
        "tir.store-through{type=int8}@fused_conv2d*#*",
        "graph.replace-activation{to=tanh}@main#*",
    ]
    assert compared(both, mutants) == len(mutants)
    assert both.run(mutants[0]).kernel_runs == IMAGES * len(both.content.program.kernels)


def test_a_mutant_of_weights_alone_is_reached_although_no_code_differs(both: Both):
    mutant = "graph.insert-transpose{argument=1,before=conv2d-matmul}@main#2"
    run = both.run(mutant)
    assert (run.reached, run.infected) == (True, True)
    assert run.outputs.tobytes() == both.rebuilt(mutant).outputs.tobytes() != both.scores.tobytes()


def test_a_mutant_with_the_code_of_the_unmutated_model_runs_no_kernel(both: Both):
    for slot in ("", ",slot=lowered"):
        run = both.run(f"tir.scale-store{{epsilon=1e-08{slot}}}@fused_matmul2_add5#0")
        assert (run.outputs, run.digest, run.kernel_runs) == (None, both.unmutated.digest, 0)


def test_a_mutant_with_the_code_of_another_mutant_shares_its_evaluation(both: Both):
    first = both.run("tir.scale-store{ulps=4096}@fused_matmul2_add5#2")
    second = both.run("tir.scale-store{ulps=4096}@fused_matmul2_*#2")
    assert (first.digest, first.run_seconds) == (second.digest, second.run_seconds)
    assert first.applied != second.applied


def test_a_mutant_that_is_proved_equivalent_is_not_built_and_the_rebuild_confirms_it(both: Both):
    mutants = survey(both.stages, Specification(("tir.swap-compare",), sites="each", all_variants=True), CATALOGUE)
    proved = [run for run in map(both.run, (each for each in mutants.mutants if "@max_pool2d#" in each)) if run.proof]
    assert proved
    assert {(run.kernel_runs, run.outputs) for run in proved} == {(0, None)}
    for run in proved[:2]:
        mutation = run.applied[0].mutation
        rebuilt = both.rebuilt(str(mutation))
        assert rebuilt.proof == run.proof
        assert both.scores_of(rebuilt).tobytes() == both.scores.tobytes()


def test_a_mutant_may_be_stopped_at_the_first_input_that_the_oracle_notices(both: Both):
    stop = StopRule(both.scores, parse_oracle("bitwise"), until_killed=True)
    mutant = "tir.offset-store@fused_matmul1_add4_relu4#2"
    for run in (both.run("tir.offset-store@fused_matmul1_add4_relu4#1", stop), both.rebuilt(mutant, stop)):
        assert len(run.outputs) == len(run.run_seconds) == 1


def test_a_mutant_may_be_stopped_when_its_dissimilarity_is_precise_enough(both: Both):
    mutant = "tir.scale-store{ulps=4096}@fused_matmul2_add5#1"
    assert len(both.run(mutant, StopRule(both.scores, parse_oracle("top-1"), precision=0.75)).outputs) == 2


def test_only_the_last_kernel_runs_for_a_mutant_of_the_last_kernel(both: Both):
    run = both.run("tir.offset-store@fused_matmul2_add5#2")
    assert (run.reached, run.infected, run.kernel_runs, run.undefined) == (True, True, IMAGES, ())


def test_no_kernel_runs_after_a_mutated_kernel_that_does_not_infect(both: Both):
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


def test_a_maximum_that_begins_with_what_was_in_memory_is_named(both: Both):
    # The initial value of max pooling does not fit into an integer; LLVM leaves the store out.
    assert both.run("tir.store-through{type=int32}@*max_pool2d*#*").undefined


def test_reading_a_small_buffer_on_the_stack_that_was_never_written_is_named_as_well(both: Both):
    mutant = "tir.shift-store-index{by=1,slot=lowered}@fused_matmul_add4_relu4#0"
    runs = [both.run(mutant) for _ in range(2)]
    assert all(run.undefined for run in runs)
    assert runs[0].outputs.tobytes() == runs[1].outputs.tobytes()


def test_a_register_that_was_never_written_is_named_although_no_pattern_in_memory_shows_it(both: Both):
    assert both.run("tir.drop-initialisation@fused_matmul2_add5#0").undefined == (READ,)


def test_an_access_behind_a_temporary_buffer_is_known_from_its_index(both: Both):
    mutant = CATALOGUE.parse("tir.loop-extent{by=1}@fused_conv2d1_add1_relu1#9")
    ending = both.content.evaluate(mutant, SECONDS, both.unmutated.digest)
    assert (ending.value or ending.note).undefined == (READ, WRITE)


def test_golden_values_beyond_the_limit_are_computed_again(both: Both, tmp_path: Path):
    cramped = Both("llvm", tmp_path, golden_bytes=both.prepared.golden.record_bytes)
    assert (cramped.prepared.stored, both.prepared.stored) == (1, IMAGES)
    mutant = "tir.offset-store@fused_matmul1_add4_relu4#2"
    assert cramped.run(mutant).outputs.tobytes() == both.run(mutant).outputs.tobytes()


def test_a_mutant_cannot_change_the_golden_values(both: Both):
    golden = both.prepared.golden
    before = Path(golden.path).read_bytes()
    both.run("tir.loop-extent{by=100000}@fused_matmul2_add5#0")
    assert Path(golden.path).read_bytes() == before
    row = golden.rows(both.content.program, both.workload.samples)[0]
    next(iter(row.arrays.values()))[...] = 7
    assert Path(golden.path).read_bytes() == before
    assert all((array != 7).any() for array in both.content.golden_row(0).arrays.values())


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
        take_program(branching, Workload.of(branching, Samples((np.zeros((1, 2), "float32"), np.zeros(1, bool)))))

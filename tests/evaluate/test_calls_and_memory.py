"""Faults in calls of kernels agree with the full rebuild; faults in the plan of memory are left to it."""

from __future__ import annotations

import pytest
import tvm

import tvm_mutate
from tvm_mutate.evaluate import Evaluation, Unsuitable

from .conftest import Both


@pytest.mark.parametrize(
    "mutant",
    ["call.stale-value{of=argument}@main#0", "call.stale-value{of=result}@main#1", "call.unset-input@main#*"],
)
def test_a_fault_in_a_call_gives_the_bits_of_the_full_rebuild_and_compiles_no_kernel(both: Both, mutant: str):
    found, rebuilt = both.run(mutant), both.rebuilt(mutant)
    assert isinstance(found, Evaluation)
    assert both.scores_of(found).tobytes() == both.scores_of(rebuilt).tobytes() != both.scores.tobytes()
    assert found.applied == rebuilt.applied
    assert [(each.function, each.changed) for each in found.applied] == [("main", True)]


def test_a_plan_of_memory_is_left_to_the_full_rebuild(both: Both):
    mutant = "memory.share-storage{of=view}@main#*"
    found = both.run(mutant)
    assert isinstance(found, Unsuitable)
    assert "memory" in found.reason
    rebuilt = both.rebuilt(mutant)
    assert [(each.function, each.changed) for each in rebuilt.applied] == [("main", True)]
    assert rebuilt.digest != both.unmutated.digest


@pytest.mark.parametrize("mutant", ["call.stale-value{of=result}@main#1", "memory.share-storage{of=view}@main#*"])
def test_the_pipelines_for_a_build_of_ones_own_have_the_slots_between_their_passes(both: Both, mutant: str):
    with tvm_mutate.mutated_pipelines(mutant) as (relax_pipeline, tir_pipeline):
        module = both.stages.at(tvm_mutate.Slot.GRAPH)
        library = tvm.compile(module, both.stages.target, relax_pipeline=relax_pipeline, tir_pipeline=tir_pipeline)
    machine = tvm.relax.VirtualMachine(library, tvm.cpu())
    first = machine["main"](*map(tvm.runtime.tensor, both.workload.samples[0])).numpy()
    assert first.tobytes() == both.scores_of(both.rebuilt(mutant)).arrays[0][0].tobytes()


def test_what_acts_inside_a_relax_pipeline_needs_the_default_one():
    mutant = "call.unset-input@main#*"
    with (
        pytest.raises(tvm_mutate.UsageError, match="leave relax_pipeline out"),
        tvm_mutate.mutated_pipelines(mutant, relax_pipeline=tvm.relax.get_pipeline("zero")),
    ):
        pass
    with pytest.raises(tvm_mutate.UsageError, match="inside TVM's Relax pipeline"), tvm_mutate.activate(mutant):
        pass

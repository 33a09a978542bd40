"""Faults in the compiler's passes: both evaluators agree, and no cache hides a fault."""

from __future__ import annotations

import pytest

from tvm_mutate.evaluate import Evaluation, Unsuitable

from .conftest import CATALOGUE, IMAGES, SECONDS, Both

OF_ALL_KINDS = (
    "pipeline.skip-pass{pass=tirx.VectorizeLoop}@*#*",
    "pipeline.skip-pass{pass=tirx.LowerIntrin}@*#*",
    "pipeline.skip-pass{pass=FuseOps}@main#*",
    "pipeline.skip-pass{pass=AnnotateTIROpPattern}@*#*",
    "pipeline.skip-pass{pass=FoldConstant}@*#*",
    "pipeline.swap-passes{pass=s_tir.LowerVtcmAlloc}@*#*",
    "pipeline.repeat-pass{pass=LegalizeOps}@*#*",
    "pipeline.wrong-option{pass=tirx.UnrollLoop,to=auto-16}@*conv*#*",
    "pipeline.skip-pass{pass=FuseOps}@*#*+pipeline.skip-pass{pass=tirx.CommonSubexprElim}@*#*",
    "pipeline.skip-pass{pass=tirx.StorageRewrite}@*#*+tir.offset-store@fused_matmul2_add5#2",
)


@pytest.mark.parametrize("mutant", OF_ALL_KINDS)
def test_a_fault_gives_the_bits_of_the_full_rebuild(both: Both, mutant: str):
    found, rebuilt = both.run(mutant), both.rebuilt(mutant)
    assert isinstance(found, Evaluation)
    assert both.scores_of(found).tobytes() == both.scores_of(rebuilt).tobytes()
    assert found.applied == rebuilt.applied
    assert all(each.changed for each in found.applied)


def test_a_pass_without_effect_builds_and_runs_nothing_and_is_the_same_code(both: Both):
    run = both.run("pipeline.skip-pass{pass=tirx.VectorizeLoop}@*#*")
    assert (run.digest, run.outputs, run.kernel_runs) == (both.unmutated.digest, None, 0)
    assert both.rebuilt("pipeline.skip-pass{pass=tirx.VectorizeLoop}@*#*").digest == both.unmutated.digest


def test_a_pass_that_is_skipped_for_one_kernel_changes_that_kernel_only(both: Both):
    everywhere = both.run("pipeline.skip-pass{pass=tirx.LowerIntrin}@*#*")
    once = both.run("pipeline.skip-pass{pass=tirx.LowerIntrin}@fused_matmul2_add5#*")
    assert [each.function for each in once.applied] == ["fused_matmul2_add5"]
    assert once.kernel_runs == IMAGES < everywhere.kernel_runs
    assert once.digest not in (everywhere.digest, both.unmutated.digest)


def test_an_unmutated_model_is_the_same_after_faults_were_evaluated(both: Both):
    both.run("pipeline.skip-pass{pass=FuseOps}@*#*")
    both.rebuilt("pipeline.skip-pass{pass=tirx.LowerIntrin}@*#*")
    again = both.rebuild.evaluate(None, SECONDS).value
    assert again.digest == both.unmutated.digest
    assert again.outputs.tobytes() == both.scores.tobytes()


def test_passes_that_plan_memory_are_left_to_the_full_rebuild(both: Both):
    mutant = "pipeline.skip-pass{pass=StaticPlanBlockMemory}@*#*"
    found = both.run(mutant)
    assert isinstance(found, Unsuitable)
    assert "memory" in found.reason
    assert both.rebuilt(mutant).digest != both.unmutated.digest


@pytest.mark.parametrize("name", ["s_tir.LowerInitBlock", "LowerAllocTensor"])
def test_an_error_of_the_compiler_is_a_compile_error_of_an_applied_fault(both: Both, name: str):
    mutant = CATALOGUE.parse(f"pipeline.skip-pass{{pass={name}}}@*#*")
    ending = both.rebuild.evaluate(mutant, SECONDS)
    assert (ending.kind, ending.stage) == ("raised", "compile")
    assert ending.note.applied and all(each.sites for each in ending.note.applied)

"""Mutants of generated code: both evaluators give the same bits and apply the same sites."""

from __future__ import annotations

import platform

import pytest

from .conftest import CATALOGUE, SECONDS, Both

ON_LLVM = [
    "code.swap-select@fused_conv2d_add_relu#0",
    "code.swap-lanes@max_pool2d1#*",
    "code.llvm-multiply-add{to=separate}@*#*",
    "codegen.multiply-add{to=fused}@fused_matmul*#*",
    "code.fast-math@fused_conv2d*#*+code.nan-order@max_pool2d*#0",
]
ON_C = ["code.multiply-add{to=fused}@*#*", "code.round-literal{digits=1}@max_pool2d#0"]


@pytest.fixture(scope="module")
def on_c(tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both("c", tmp_path_factory.mktemp("c"))


@pytest.mark.parametrize(
    ("evaluators", "mutant"), [*(("both", each) for each in ON_LLVM), *(("on_c", each) for each in ON_C)]
)
def test_mutants_of_generated_code_give_the_bits_of_the_full_rebuild(request, evaluators: str, mutant: str):
    both: Both = request.getfixturevalue(evaluators)
    found, rebuilt = both.run(mutant), both.rebuilt(mutant)
    assert found.sites == rebuilt.sites > 0
    assert {each.function: each.sites for each in found.applied} == {
        each.function: each.sites for each in rebuilt.applied
    }
    assert both.scores_of(found).tobytes() == both.scores_of(rebuilt).tobytes()


def test_only_the_kernel_with_the_mutated_instruction_runs_again(both: Both):
    run = both.run("code.swap-select@fused_matmul1_add4_relu4#0")
    assert (run.reached, run.infected, run.sites) == (True, True, 1)
    assert run.outputs.tobytes() != both.scores.tobytes()


def test_a_flag_that_reaches_no_machine_code_leaves_the_code_as_it_was(both: Both):
    mutant = "code.integer-flag{flag=inbounds}@max_pool2d2#0"
    for run in (both.run(mutant), both.rebuilt(mutant)):
        assert (run.outputs, run.digest, run.sites) == (None, both.unmutated.digest, 1)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="other processors than x86-64 may take any address")
def test_a_vector_load_that_claims_too_much_alignment_crashes_in_both(both: Both):
    mutant = CATALOGUE.parse("code.over-align{to=16}@fused_conv2d2_add2_relu2#*")
    for evaluator in (both.content, both.rebuild):
        ending = evaluator.evaluate(mutant, SECONDS, both.unmutated.digest)
        assert (ending.kind, ending.value) == ("died", None)
        assert ending.note.applied[0].changed

"""Faults in TVM's own lists of passes: which passes there are, and what becomes of a model without one of them."""

from __future__ import annotations

import functools

import pytest
import tvm
import tvm_ffi
from hypothesis import given
from hypothesis import strategies as st
from tvm.ir.instrument import PassTimingInstrument
from tvm.script import from_source
from tvm.tirx import compilation_pipeline

from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.function_digests import FunctionDigests
from tvm_mutate.campaign.survey import survey
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import generated_text, parse_target
from tvm_mutate.mutant import Mutant, Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, mutant_passes, selections_by_slot
from tvm_mutate.pipeline import (
    Stages,
    generate,
    kernels_of,
    lower_kernels,
    pass_names,
    passes_in,
    with_faults,
)

NETWORK = """
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((1, 3, 8, 8), "float32"), w: R.Tensor((4, 3, 3, 3), "float32")):
        with R.dataflow():
            conv: R.Tensor((1, 4, 8, 8), "float32") = R.nn.conv2d(x, w, padding=[1, 1, 1, 1])
            active: R.Tensor((1, 4, 8, 8), "float32") = R.nn.relu(conv)
            pooled: R.Tensor((1, 4, 4, 4), "float32") = R.nn.max_pool2d(active, pool_size=[2, 2], strides=[2, 2])
            R.output(pooled)
        return pooled
"""
CUDA = '{"kind":"cuda","arch":"sm_80"}'
CATALOGUE = builtin_catalogue()


@functools.cache
def stages(target: str = "llvm") -> Stages:
    return Stages(from_source(NETWORK), parse_target(target))


@functools.cache
def kernels(target: str = "llvm") -> tvm.IRModule:
    """The kernels of the network as the TIR pipeline gets them."""
    return kernels_of(stages(target).runnable(stages(target).at(Slot.KERNEL)))


def selections(mutant: str):
    return selections_by_slot(CATALOGUE.parse(mutant).mutations, CATALOGUE)


def lowered(mutant: str, slot: Slot = Slot.LOWERED, target: str = "llvm") -> tvm.IRModule:
    """The kernels of the network after the TIR pipeline with the mutant in it."""
    with stages(target).mutated_flow(selections(mutant)) as flow:
        return lower_kernels(kernels(target), stages(target).target, slot, flow)


def code(mutant: str, target: str = "llvm") -> str:
    chosen = selections(mutant)
    module = stages(target).runnable(stages(target).mutated(chosen, []), chosen)
    with stages(target).mutated_flow(chosen) as flow:
        return generated_text(generate(kernels_of(module), stages(target).target, flow), "llvm")


def names_of(module: tvm.IRModule) -> list[str]:
    return sorted(variable.name_hint for variable in module.functions)


def test_the_passes_are_those_that_instruments_see_when_the_pipelines_run():
    names: list[str] = []

    class Names(tvm.ir.instrument.PassInstrument):
        def run_before_pass(self, _module, info) -> None:
            names.append(str(info.name))

    with tvm.transform.PassContext(instruments=[Names()]):
        lower_kernels(kernels(), stages().target, Slot.CODEGEN)
    ours = pass_names(stages().tir_passes)
    assert len(ours) > 40
    seen = iter(names)
    assert all(any(name == other for other in seen) for name in ours)  # in this order, with others between them


def test_finding_the_passes_gives_them_empty_modules_and_leaves_nothing_patched():
    call = tvm.transform.Pass.__call__
    ran = []
    ours = tvm.transform.module_pass(
        lambda module, _: ran.append(len(module.functions)) or module, opt_level=0, name="ours"
    )
    other = tvm.transform.module_pass(lambda module, _: 1 // 0, opt_level=0, name="other")
    nested = tvm.transform.Sequential([tvm.transform.Sequential([ours]), other, ours])
    hidden = tvm.transform.module_pass(lambda module, _: ours(nested(module)), opt_level=0, name="hidden")
    assert pass_names({"all": passes_in(hidden)}) == ["ours", "other", "ours", "ours"]
    assert pass_names({"all": passes_in(hidden, call=False)}) == ["hidden"]
    assert tvm.transform.Pass.__call__ is call and ran == [0, 0, 0]
    tvm.transform.Sequential([ours])(tvm.IRModule())
    assert len(ran) == 4


def test_only_targets_with_a_device_have_finalizers_of_device_functions():
    assert "tirx.LowerWarpMemory" not in pass_names(stages().tir_passes)
    assert "tirx.LowerWarpMemory" in pass_names(stages(CUDA).tir_passes)
    assert "ApplyDefaultSchedule" in pass_names(stages(CUDA).relax_passes)


def test_leaving_out_an_effective_pass_changes_the_code():
    before = code("pipeline.repeat-pass{pass=tirx.VerifyMemory}@*#*")
    assert code("pipeline.skip-pass{pass=tirx.CommonSubexprElim}@*#*") != before
    assert code("pipeline.skip-pass{pass=tirx.VerifyMemory}@*#*") == before


def test_a_fault_in_the_pipeline_of_one_kernel_leaves_the_others_as_they_are():
    unmutated = lower_kernels(kernels(), stages().target, Slot.CODEGEN)
    faulty = lowered("pipeline.skip-pass{pass=tirx.LowerIntrin}@fused_conv2d*#*", Slot.CODEGEN)
    everywhere = lowered("pipeline.skip-pass{pass=tirx.LowerIntrin}@*#*", Slot.CODEGEN)
    assert names_of(faulty) == names_of(unmutated) == ["fused_conv2d_relu", "max_pool2d"]
    tvm.ir.assert_structural_equal(faulty["max_pool2d"], unmutated["max_pool2d"])
    assert not tvm_ffi.structural_equal(faulty["fused_conv2d_relu"], unmutated["fused_conv2d_relu"])
    tvm.ir.assert_structural_equal(faulty["fused_conv2d_relu"], everywhere["fused_conv2d_relu"])


def test_device_functions_have_the_faults_of_the_kernel_that_they_were_split_from():
    unmutated = lower_kernels(kernels(CUDA), stages(CUDA).target, Slot.CODEGEN)
    faulty = lowered("pipeline.skip-pass{pass=tirx.StmtSimplify}@max_pool2d#*", Slot.CODEGEN, CUDA)
    assert names_of(faulty) == names_of(unmutated)
    assert "max_pool2d_kernel" in names_of(unmutated)
    changed = {name for name in names_of(unmutated) if not tvm_ffi.structural_equal(faulty[name], unmutated[name])}
    assert changed and all("max_pool2d" in name for name in changed)


def test_a_relax_pass_that_is_left_out_everywhere_changes_the_kernels():
    fused = stages().mutated(selections("pipeline.skip-pass{pass=FuseOps}@*#*"), [])
    assert names_of(fused) == ["conv2d", "main", "max_pool2d", "relu"]
    # Fusion is in the pipeline twice, and once is enough.
    once = stages().mutated(selections("pipeline.skip-pass{pass=FuseOps}@*#0"), [])
    assert names_of(once) == ["fused_conv2d_relu", "main", "max_pool2d"]
    assert (
        stages()
        .mutated(selections("pipeline.skip-pass{pass=tirx.LowerIntrin}@*#*"), [])
        .same_as(stages().at(Slot.KERNEL))
    )


def test_passes_that_plan_memory_are_left_out_of_what_the_machine_runs():
    chosen = selections("pipeline.skip-pass{pass=KillAfterLastUse}@main#0")
    before, after = (stages().runnable(stages().at(Slot.KERNEL), each) for each in (None, chosen))
    assert "kill" in before["main"].script()
    assert "kill" not in after["main"].script()


def test_instruments_see_a_pass_with_another_option_by_its_name():
    timing = PassTimingInstrument()
    with tvm.transform.PassContext(instruments=[timing]):
        lowered("pipeline.wrong-option{pass=tirx.NarrowDataType,to=64-bit}@*#*")
        rendered = timing.render()
    assert "tirx.NarrowDataType(64-bit)" in rendered


def test_the_registered_pipeline_is_gone_even_after_a_pass_that_fails():
    before = dict(compilation_pipeline.PIPELINE_MAP)
    with pytest.raises(tvm.error.InternalError):
        lowered("pipeline.skip-pass{pass=tirx.MakePackedAPI}@*#*")
    assert before == compilation_pipeline.PIPELINE_MAP


def test_a_campaign_gets_a_mutant_of_every_pass_and_for_each_of_its_places_if_asked():
    def found(sites: str) -> tuple[str, ...]:
        return survey(stages(), Specification(("pipeline.skip-pass",), sites=sites), CATALOGUE).mutants

    names = pass_names(stages().relax_passes) + pass_names(stages().tir_passes)
    assert found("all") == tuple(f"pipeline.skip-pass{{pass={name}}}@*#*" for name in dict.fromkeys(names))
    assert len(found("each")) == len(names)
    assert "pipeline.skip-pass{pass=s_tir.ThreadSync}@*#2" in found("each")
    for mutant in found("each"):
        assert str(CATALOGUE.parse(mutant)) == mutant


def test_faults_of_passes_are_selected_by_their_word_and_not_by_default():
    asked = {operator.name for operator in CATALOGUE.select(["pipeline"])}
    assert asked == {operator.name for operator in CATALOGUE.select(["pipeline.*"])}
    assert len(asked) == 4
    assert not asked & {operator.name for operator in CATALOGUE.select(["default", "paper"])}


@pytest.mark.parametrize(
    ("mutant", "told"),
    [
        ("pipeline.skip-pass{pass=tirx.NoSuchPass}@*#*", "has no site"),
        ("pipeline.skip-pass{pass=tirx.LowerIntrin}@*#7", "the last one is #0"),
        ("pipeline.skip-pass{pass=tirx.LowerIntrin}@nowhere#0", "no function is named"),
        ("pipeline.skip-pass{pass=FuseOps}@max_pool2d#0", "has no site"),
    ],
)
def test_an_id_of_a_pass_or_place_that_is_not_there_is_refused(mutant: str, told: str):
    with pytest.raises(UsageError, match=told):
        survey(stages(), Specification(mutants=(mutant,)), CATALOGUE)


def test_a_fault_in_the_pass_list_has_no_pass_of_its_own():
    with pytest.raises(UsageError, match="list of passes"):
        mutant_passes(CATALOGUE.parse("pipeline.skip-pass{pass=FuseOps}@*#*"), CATALOGUE)


def test_the_digest_of_a_fault_covers_every_function_of_its_pipeline():
    digests_of = FunctionDigests(stages(), CATALOGUE)
    digests = {
        digests_of.digest(CATALOGUE.parse(mutant))
        for mutant in (
            "pipeline.skip-pass{pass=tirx.LowerIntrin}@*#*",
            "pipeline.skip-pass{pass=tirx.LowerIntrin}@max_pool2d#*",
            "pipeline.skip-pass{pass=FuseOps}@*#*",
        )
    }
    assert len(digests) == 3


LETTERS = st.lists(st.sampled_from("abc"), max_size=8)
FAULTS = st.lists(st.tuples(st.sampled_from(["skip-pass", "repeat-pass"]), st.sampled_from("abc")), max_size=3)


@given(names=LETTERS, faults=FAULTS)
def test_skipped_and_repeated_passes_are_numbered_in_the_original_list(names: list[str], faults):
    lists = {"all": [tvm.transform.module_pass(lambda module, _: module, opt_level=0, name=name) for name in names]}
    faults = list({name: (operator, name) for operator, name in faults}.values())  # one fault a pass
    chosen = [
        Selection.resolve(Mutant.parse(f"pipeline.{operator}{{pass={name}}}@*#*").mutations[0], CATALOGUE)
        for operator, name in faults
    ]
    times = {name: 0 if operator == "skip-pass" else 2 for operator, name in faults}
    expected = [name for name in names for _ in range(times.get(name, 1))]
    assert pass_names(with_faults(lists, chosen)) == expected
    assert pass_names(lists) == names

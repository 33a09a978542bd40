"""Flows of the user: which passes they have, where mutants act in them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tvm
from tvm.script import from_source

from tests.pipeline.test_pipeline_faults import NETWORK
from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.device import parse_device, through
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import generated_text, parse_target
from tvm_mutate.kernels.kernels import library_key
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Flow, Stages, generate, kernels_of, pass_names

FLOW = """
import tvm
from tvm import relax, tirx
from tvm.relax.backend.cpu_generic import get_default_pipeline
from tvm.relax.dpl import is_op, rewrite_call, wildcard


def named(name, run=lambda module, _context: module):
    return tvm.transform.module_pass(run, opt_level=0, name=name)


@relax.transform.function_pass(opt_level=0, name="ToTanh")
def to_tanh(function, _module, _context):
    x = wildcard()
    return rewrite_call(is_op("relax.nn.relu")(x), lambda _, found: relax.op.tanh(found[x]), function)


def short():
    return tvm.transform.Sequential([to_tanh, tvm.transform.Sequential([named("Inner"), relax.get_pipeline("zero")])])


def whole():
    def run(module, _context):
        return get_default_pipeline(tvm.target.Target.current())(named("Last")(short()(module)))

    return named("Whole", run)


def hiding():
    def run(module, _context):  # does more than call passes
        module = short()(module)
        module.update_func(module.get_global_var("main"), module["main"].with_attr("seen", 1))
        return module

    return tvm.transform.Sequential([named("First"), named("Hiding", run)])


def lower():
    body, finalize_host, finalize_device = tirx.get_tir_pipeline("default")
    return tvm.transform.Sequential([named("Ours"), body]), finalize_host, finalize_device


def body_alone():
    return lower()[0]


def failing():
    return named("Failing", lambda module, _context: 1 // 0)


def none():
    return None


def raising():
    raise KeyError("nothing")
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "flow.py"
    path.write_text(FLOW)
    return str(path)


def stages(flow: Flow) -> Stages:
    return Stages(from_source(NETWORK), parse_target("llvm"), flow)


def code(of: Stages) -> str:
    return generated_text(generate(kernels_of(of.runnable(of.at(Slot.KERNEL))), of.target, of.flow), "llvm")


def names(lists, *wanted: str) -> list[str]:
    return pass_names({name: lists[name] for name in wanted})


def test_a_sequential_without_memory_planning_is_completed_by_the_passes_of_tvm(file: str):
    own, theirs = stages(Flow.read(f"{file}:short")), stages(Flow())
    assert names(own.relax_passes, "fusing")[:3] == ["ToTanh", "Inner", "LegalizeOps"]
    assert names(own.relax_passes, "scheduling", "memory") == names(theirs.relax_passes, "scheduling", "memory")
    assert sorted(map(str, own.function_names(Slot.KERNEL))) == ["fused_conv2d_tir_tanh", "main", "max_pool2d"]


def test_a_whole_pipeline_is_cut_where_it_begins_to_plan_memory(file: str):
    own = stages(Flow.read(f"{file}:whole"))
    assert list(own.relax_passes) == ["fusing", "memory"]
    assert "Last" in names(own.relax_passes, "fusing") and "Whole" not in names(own.relax_passes, "fusing")
    assert "StaticPlanBlockMemory" in names(own.relax_passes, "memory")
    assert "R.call_tir" in own.at(Slot.KERNEL).script() and "alloc_tensor" in own.runnable(own.at(Slot.KERNEL)).script()


def test_a_pass_that_does_more_than_call_passes_is_one_pass(file: str):
    own = stages(Flow.read(f"{file}:hiding"))
    assert names(own.relax_passes, "fusing") == ["First", "Hiding"]
    assert own.at(Slot.KERNEL)["main"].attrs["seen"] == 1


def test_faults_are_put_into_passes_of_the_user_by_name(file: str):
    catalogue = builtin_catalogue()
    own = stages(Flow.read(f"{file}:short", f"{file}:lower"))
    found = survey(own, Specification(operators=("pipeline.*-pass*",)), catalogue).mutants
    for name in ("ToTanh", "Inner", "Ours", "FuseOps"):
        for operator in ("skip-pass", "repeat-pass", "swap-passes"):
            assert f"pipeline.{operator}{{pass={name}}}@*#*" in found
    skipped = selections_by_slot(catalogue.parse("pipeline.skip-pass{pass=ToTanh}@*#*").mutations, catalogue)
    assert "fused_conv2d_relu" in {each.name_hint for each in own.mutated(skipped, []).functions}


@pytest.mark.parametrize("function", ["lower", "body_alone"])
def test_code_is_generated_by_the_tir_pipeline_of_the_user(file: str, function: str):
    seen: list[str] = []

    class Names(tvm.ir.instrument.PassInstrument):
        def run_before_pass(self, _module, info) -> None:
            seen.append(str(info.name))

    own, theirs = stages(Flow.read(tir_pipeline=f"{file}:{function}")), stages(Flow())
    with tvm.transform.PassContext(instruments=[Names()]):
        own.at(Slot.LOWERED)
    assert "Ours" in seen
    assert code(own) == code(theirs)


def test_options_of_the_pass_context_act_in_both_pipelines():
    unfused = stages(Flow.read(config={"disabled_pass": ["FuseOps", "FuseTIR"]}))
    assert sorted(map(str, unfused.function_names(Slot.KERNEL))) == ["conv2d", "main", "max_pool2d", "relu"]
    other = stages(Flow.read(config={"disabled_pass": ["tirx.CommonSubexprElim"]}))
    assert code(other) != code(stages(Flow()))


@pytest.mark.parametrize(
    ("relax_pipeline", "tir_pipeline", "message"),
    [
        ("none", None, "none() returned a NoneType; return a tvm.transform.Pass"),
        (None, "none", "none() returned a NoneType; return a tvm.transform.Pass, or the triple"),
        ("raising", None, "raising() failed with KeyError at line"),
        (None, "raising", "raising() failed with KeyError at line"),
        ("failing", None, "the pass of"),
        ("shrt", None, "did you mean"),
    ],
)
def test_a_function_without_a_pipeline_is_refused(
    file: str, relax_pipeline: str | None, tir_pipeline: str | None, message: str
):
    references = [each and f"{file}:{each}" for each in (relax_pipeline, tir_pipeline)]
    with pytest.raises(UsageError) as refused:
        stages(Flow.read(*references)).at(Slot.KERNEL)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_flows_differ_in_plans_and_in_the_store_of_kernels_if_their_files_or_options_differ(file: str):
    first, options = Flow.read(f"{file}:short"), Flow.read(f"{file}:short", config={"opt_level": 1})
    assert first == Flow.read(f"{file}:short")
    Path(file).write_text(FLOW.replace("tanh(found", "sigmoid(found"))
    flows = [Flow(), first, options, Flow.read(f"{file}:short")]
    devices = [through(flow, [parse_device("llvm")])[0] for flow in flows]
    assert (
        len({device.identity() for device in devices})
        == len({library_key({}, parse_target("llvm"), flow=each) for each in flows})
        == 4
    )
    own = replace(devices[1], name="own")
    assert through(options, [own]) == (own,)  # a device keeps its own flow

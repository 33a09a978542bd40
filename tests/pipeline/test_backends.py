"""Mutants in every slot of the pipelines of every code generator, seen in the emitted code."""

from __future__ import annotations

import difflib
import functools
import shutil
import subprocess

import pytest
import tvm
from tvm.ir.instrument import PassTimingInstrument
from tvm.script import from_source

from tvm_mutate.kernels import generated_text, parse_target
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import mutant_passes, mutation_pass, selections_by_slot
from tvm_mutate.pipeline import (
    Flow,
    Stages,
    default_relax_pipeline,
    generate,
    kernels_of,
    slotted_relax_pipeline,
    slotted_tir_pipeline,
)

NETWORK = """
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((1, 3, 8, 8), "float32"), w: R.Tensor((4, 3, 3, 3), "float32")):
        with R.dataflow():
            conv: R.Tensor((1, 4, 8, 8), "float32") = R.nn.conv2d(x, w, padding=[1, 1, 1, 1])
            out: R.Tensor((1, 4, 8, 8), "float32") = R.nn.relu(conv)
            R.output(out)
        return out
"""
TARGETS = {
    "llvm": "llvm",
    "c": "c",
    "cuda": '{"kind":"cuda","arch":"sm_80"}',
    "opencl": "opencl",
    "webgpu": "webgpu",
}
# How each language writes the maximum, and the comparison that takes its place.
IN_CODE = {
    "llvm": ("fcmp ogt", "fcmp olt"),
    "c": ("> (", " < "),
    "cuda": ("max(", "<"),
    "opencl": ("max(", " < "),
    "webgpu": ("max(", " < "),
}
CATALOGUE = builtin_catalogue()
# relu is max(x, 0); as a minimum it gives other code in every language.
MAX_TO_MIN = "tir.swap-compare{{from=gt,to=lt,slot={slot}}}@*#*"


@functools.cache
def stages(kind: str) -> Stages:
    return Stages(from_source(NETWORK), parse_target(TARGETS[kind]))


def code(kind: str, mutant: str | None = None) -> str:
    lowered = stages(kind)
    selections = selections_by_slot(CATALOGUE.parse(mutant).mutations, CATALOGUE) if mutant else {}
    passes = {slot: mutation_pass(chosen) for slot, chosen in selections.items()}
    module = lowered.runnable(lowered.mutated(selections, []))
    with slotted_tir_pipeline(passes) as pipeline:
        return generated_text(generate(kernels_of(module), lowered.target, Flow(mutated=pipeline)), kind)


def changed_lines(before: str, after: str) -> list[str]:
    return [
        line
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
        if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("slot", ["kernel", "lowered", "codegen"])
def test_the_emitted_code_differs_where_the_maximum_was(kind: str, slot: str):
    changed = changed_lines(code(kind), code(kind, MAX_TO_MIN.format(slot=slot)))
    removed = "\n".join(line for line in changed if line.startswith("-"))
    added = "\n".join(line for line in changed if line.startswith("+"))
    assert changed
    maximum, minimum = IN_CODE[kind]
    assert maximum in removed
    assert minimum in added


@pytest.mark.parametrize("kind", TARGETS)
def test_a_graph_mutation_reaches_the_emitted_code(kind: str):
    assert "exp" in "\n".join(changed_lines(code(kind), code(kind, "graph.insert-unary{at=conv2d}@*#*")))


@pytest.mark.parametrize("kind", TARGETS)
def test_two_builds_of_the_unmutated_module_give_the_same_code(kind: str):
    assert code(kind) == code(kind)


def test_cuda_code_of_a_mutant_is_accepted_by_the_cuda_compiler(tmp_path):
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("nvcc is not installed")
    source = tmp_path / "kernels.cu"
    source.write_text(code("cuda", MAX_TO_MIN.format(slot="kernel")))
    finished = subprocess.run([nvcc, "-ptx", "-arch=sm_80", str(source), "-o", str(tmp_path / "kernels.ptx")])
    assert finished.returncode == 0


def test_a_pass_of_ours_in_a_hand_written_sequential_shows_up_by_name_in_the_timing_instrument():
    mutant = CATALOGUE.parse("graph.insert-unary{at=conv2d}@main#*")
    passes = mutant_passes(mutant, CATALOGUE)
    timing = PassTimingInstrument()
    with tvm.transform.PassContext(instruments=[timing]):
        mutated = tvm.transform.Sequential([passes[Slot.GRAPH], tvm.relax.transform.LegalizeOps()])(
            stages("llvm").at(Slot.GRAPH)
        )
        rendered = timing.render()
    assert "tvm_mutate.graph.insert-unary" in rendered
    assert any("exp" in variable.name_hint for variable in mutated.functions)


def test_a_slotted_relax_pipeline_runs_through_tvm_compile():
    target = parse_target("llvm")
    graph = mutant_passes(CATALOGUE.parse("graph.insert-unary{at=conv2d}@main#*"), CATALOGUE)
    kernel = mutant_passes(CATALOGUE.parse(MAX_TO_MIN.format(slot="kernel")), CATALOGUE)
    pipeline = slotted_relax_pipeline({**graph, **kernel}, default_relax_pipeline(target))
    with slotted_tir_pipeline({}) as name, target:
        executable = tvm.compile(from_source(NETWORK), target, relax_pipeline=pipeline, tir_pipeline=name)
    assert executable is not None


def test_the_registered_pipeline_is_gone_after_its_context():
    from tvm.tirx import compilation_pipeline

    passes = mutant_passes(CATALOGUE.parse(MAX_TO_MIN.format(slot="lowered")), CATALOGUE)
    with slotted_tir_pipeline(passes) as name:
        assert name in compilation_pipeline.PIPELINE_MAP
    assert name not in compilation_pipeline.PIPELINE_MAP


RESHAPING = """
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((12,), "float32"), w: R.Tensor((6, 4), "float32")):
        with R.dataflow():
            square: R.Tensor((2, 6), "float32") = R.reshape(x, (2, 6))
            out: R.Tensor((2, 4), "float32") = R.matmul(square, w)
            R.output(out)
        return out
"""


def test_kernels_that_only_reshape_are_views_and_have_no_mutants():
    reshaping = Stages(from_source(RESHAPING), parse_target("llvm"))
    assert [variable.name_hint for variable in kernels_of(reshaping.at(Slot.KERNEL)).functions] == ["matmul"]
    runnable = reshaping.runnable(reshaping.at(Slot.KERNEL))
    assert [variable.name_hint for variable in kernels_of(runnable).functions] == ["matmul"]
    assert "reshape" in runnable["main"].script()


@pytest.mark.parametrize("name", ["fused_conv2d_relu_kernel", "fused_conv2d_relu_kernel_1", "fused_conv2d_relu*"])
def test_a_mutation_of_a_function_that_is_split_off_for_a_gpu_changes_the_kernel(name: str):
    selections = selections_by_slot(CATALOGUE.parse(f"tir.drop-barrier@{name}#0").mutations, CATALOGUE)
    assert stages("cuda").is_lowered_otherwise("fused_conv2d_relu", selections)
    assert not stages("cuda").is_lowered_otherwise("fused_conv2d", selections)

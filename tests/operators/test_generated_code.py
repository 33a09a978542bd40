"""Operators on generated code, on kernels and on code of a real model: sites, changed code, and what it computes."""

from __future__ import annotations

import re
import shutil
from functools import cache

import numpy as np
import pytest
import tvm
from mutated_kernels import CATALOGUE, CUDA, code, kernel, run, sites
from tvm.support import nvcc

from tests.code_sites import find_code_sites
from tvm_mutate.kernels import generated_text, parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot, TextRule
from tvm_mutate.passes import Applied, Selection, Site, apply_to_code, count_code_sites, mutant_passes
from tvm_mutate.pipeline import Flow, GeneratedCode, Stages, generate, generated_code, kernels_of, slotted_tir_pipeline

ON_TEXT = [each for each in CATALOGUE.values() if isinstance(each.rule, TextRule)]
# Kinds of targets and operators whose code has sites in the kernels of one model.
FOUND = {
    "llvm": {
        *("code.llvm-multiply-add", "code.fast-math", "code.integer-flag", "code.over-align", "code.nan-order"),
        *("code.signedness", "code.swap-lanes", "code.swap-select"),
    },
    "c": {"code.multiply-add", "code.round-literal"},
    "opencl": {"code.multiply-add", "code.round-literal", "code.drop-barrier"},
    CUDA: {"code.multiply-add", "code.round-literal", "code.drop-barrier", "code.wrong-component"},
}
DATA = np.linspace(-2, 2, 16, dtype="float32")


@cache
def stages(target: str) -> Stages:
    return Stages(load_model("zoo://alexnet").module, parse_target(target))


def selection(mutant: str) -> Selection:
    return Selection.resolve(CATALOGUE.parse(mutant).mutations[0], CATALOGUE)


def loaded(text: str, folder) -> tvm.runtime.Module:
    path = folder / "kernel.ll"
    path.write_text(text)
    return tvm.get_global_func("ffi.Module.load_from_file.ll")(str(path), "ll")


@pytest.mark.parametrize(
    "operator", [each for each in ON_TEXT if each.rule.kinds == ("llvm",)], ids=lambda each: each.name
)
def test_llvm_takes_the_examples_before_and_after(operator, tmp_path):
    for example in operator.examples:
        for text in (example.before, example.after):
            text = text.replace(", !tbaa !1", "")
            assert "main_compute_" in loaded(text, tmp_path).inspect_source("ll")


@pytest.mark.parametrize("target", FOUND)
def test_operators_have_sites_in_the_code_of_a_real_model(target: str):
    found = set()
    for operator in ON_TEXT:
        for variant in operator.all_variants():
            counts = stages(target).site_counts(selection(str(operator.mutation(variant))))
            found |= {operator.name} if counts else set()
            assert set(counts) <= set(stages(target).function_names(Slot.TEXT))
    assert found == FOUND[target]


@pytest.mark.parametrize("target", FOUND)
def test_each_site_is_a_change_of_its_own_and_all_at_once_make_the_mutant(target: str):
    kind = parse_target(target).kind.name
    text = max(stages(target).code().texts, key=len)
    for name in FOUND[target]:
        for variant in CATALOGUE[name].variants:
            mutation = str(CATALOGUE[name].mutation(variant)).removesuffix("@*#*")
            counts = count_code_sites(text, kind, selection(f"{mutation}@*#*"))
            for function, count in list(counts.items())[:1]:
                chosen = [selection(f"{mutation}@{function}#{ordinal}") for ordinal in range(count)][:4]
                texts = set()
                for number, each in enumerate(chosen):
                    mutated, report = apply_to_code(text, kind, [each])
                    assert [(done.function, done.sites, done.changed) for done in report] == [
                        (function, (number,), True)
                    ]
                    texts.add(mutated)
                assert len(texts | {text}) == len(chosen) + 1
                at_once, _ = apply_to_code(text, kind, [selection(f"{mutation}@{function}#0-{len(chosen) - 1}")])
                assert at_once == apply_to_code(text, kind, chosen)[0]


@pytest.mark.parametrize("target", ["llvm", "c", "opencl"])
def test_the_sites_of_a_kernel_are_the_same_alone_and_among_others(target: str):
    whole = stages(target)
    kernels = kernels_of(whole.runnable(whole.at(Slot.KERNEL)))
    for name in ("max_pool2d1", "fused_matmul_add4_relu4"):
        alone = generated_code(tvm.IRModule({name: kernels[name]}), whole.target)
        for operator in ON_TEXT:
            chosen = selection(str(operator.mutation(operator.variants[0])).replace("@*", f"@{name}*"))
            there = [each for each in sites_in(whole.code(), chosen) if each.function in (name, f"{name}_kernel")]
            here = sites_in(alone, chosen)
            assert [plain(each) for each in here] == [plain(each) for each in there]


def sites_in(code: GeneratedCode, selection: Selection) -> list[Site]:
    return [site for text in code.texts for site in find_code_sites(text, code.kind, selection)]


def plain(site) -> tuple[str, int, str, str]:
    """A site with no numbers of metadata, which are counted through a whole module."""
    return (site.function, site.ordinal, *(re.sub(r"![0-9]+", "!", text) for text in (site.before, site.after)))


def test_the_function_that_unpacks_arguments_and_those_of_run_time_support_are_no_sites():
    assert len(stages("llvm").code().texts) == 1
    text = stages("llvm").code().texts[0]
    functions = re.findall(r"^define [^@]*@([\w.]+)", text, re.MULTILINE)
    assert "__truncsfhf2" in functions and "__tvm_ffi_max_pool2d" in functions
    inside = "\n".join(part for parts in stages("llvm").code().kernels().values() for part in parts)
    heads = re.findall(r"^define [^@]*@([\w.]+)", inside, re.MULTILINE)
    assert heads and all(head.endswith("_compute_") for head in heads)


def test_a_mutated_kernel_of_llvm_computes_what_its_code_says():
    relu = kernel("    for i in range(16):\n        B[i] = T.if_then_else(A[i] > T.float32(0), A[i], T.float32(0))")
    assert run(relu, "code.swap-select", DATA).tolist() == np.minimum(DATA, 0).tolist()
    with_nan = DATA.copy()
    with_nan[3] = np.nan
    assert np.isnan(run(relu, "code.nan-order", with_nan)[3])


def test_two_mutations_of_one_instruction_are_applied_one_after_the_other():
    text = stages("llvm").code().texts[0]
    flags = [selection(f"code.fast-math{{flag={flag}}}@max_pool2d#0") for flag in ("nnan", "nsz")]
    mutated, report = apply_to_code(text, "llvm", [*flags, selection("code.nan-order@max_pool2d#0")])
    assert "= fcmp nsz nnan ult" in mutated and "= fcmp olt" in text
    assert [each.changed for each in report] == [True, True, True]


def test_of_mutations_whose_sites_overlap_the_first_has_the_place():
    text = stages("llvm").code().texts[0]
    chosen = [selection(f"code.{each}@fused_matmul2_add5#0") for each in ("llvm-multiply-add{to=fused}", "fast-math")]
    for both in (chosen, chosen[::-1]):
        mutated, report = apply_to_code(text, "llvm", both)
        assert [each.changed for each in report] == [True, False]
        assert mutated == apply_to_code(text, "llvm", both[:1])[0]


def test_a_fenced_product_is_rounded_on_a_processor_that_fuses():
    script = kernel("    for i in range(16):\n        B[i] = A[i] * A[i] + T.float32(-1)")
    data = (1 + np.arange(16) * 2.0**-13).astype("float32")
    once = (data.astype("float64") * data - 1).astype("float32")
    assert run(script, "code.llvm-multiply-add{to=fused}", data).tolist() == once.tolist()
    assembly = machine_code(script, "code.llvm-multiply-add{to=separate}")
    assert "vfmadd" in machine_code(script, None) and "vfmadd" not in assembly and "vmul" in assembly


def test_code_that_gives_the_same_machine_code_is_left_as_it_was():
    script = kernel("    for i in range(16):\n        B[i] = A[i] + T.float32(1)")
    report: list[Applied] = []
    assert machine_code(script, "code.fast-math{flag=ninf}", report) == machine_code(script, None)
    assert [each.changed for each in report] == [True]
    assert code(script, "code.fast-math{flag=ninf}", "llvm") == code(script, None, "llvm")


def machine_code(script: str, mutant: str | None, report: list[Applied] | None = None) -> str:
    """The assembly that LLVM makes for a processor with fused multiply-adds."""
    module, recorded = tvm.IRModule({"main": tvm.script.from_source(script)}), [] if report is None else report
    passes = mutant_passes(CATALOGUE.parse(f"{mutant}@*#*"), CATALOGUE, recorded.extend) if mutant else {}
    target = parse_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3"})
    with slotted_tir_pipeline(passes) as pipeline:
        return generate(module, target, Flow(mutated=pipeline)).inspect_source("asm")


EXPONENTIALS = kernel(
    '    for t in T.thread_binding(16, thread="threadIdx.x"):\n        with T.sblock("exp"):\n'
    "            v = T.axis.spatial(16, t)\n            B[v] = T.exp(A[v]) * T.float32(0.1)"
)


def test_device_sources_call_faster_functions_and_other_constants():
    assert "__expf(A_ptr" in code(EXPONENTIALS, "code.fast-function")
    assert "native_exp(A_ptr" in code(EXPONENTIALS, "code.native-function", "opencl")
    assert sites(EXPONENTIALS, "code.round-literal{digits=1}", CUDA) == []  # 0.1 is 1.0e-01
    scaled = EXPONENTIALS.replace("0.1", "0.123")
    assert [site.after for site in sites(scaled, "code.round-literal{digits=1}", CUDA)] == ["1.2e-01f"]


def test_barriers_go_one_by_one_from_the_source_and_the_rest_of_it_stays():
    with slotted_tir_pipeline(
        mutant_passes(CATALOGUE.parse("code.drop-barrier@fused_matmul_*_kernel#2"), CATALOGUE)
    ) as name:
        kernels = kernels_of(stages(CUDA).runnable(stages(CUDA).at(Slot.KERNEL)))
        built = generate(kernels, stages(CUDA).target, Flow(mutated=name))
    mutated = generated_text(built, "cuda")
    (text,) = stages(CUDA).code().texts
    assert mutated == apply_to_code(text, "cuda", [selection("code.drop-barrier@fused_matmul_*_kernel#2")])[0]
    assert mutated.count("__syncthreads()") == text.count("__syncthreads()") - 1


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
@pytest.mark.parametrize(
    "mutant", ["code.fast-function", "code.round-literal{digits=1}", "code.multiply-add{to=separate}"]
)
def test_nvcc_takes_the_mutated_sources(mutant: str):
    script = EXPONENTIALS.replace("T.exp(A[v]) * T.float32(0.1)", "A[v] * T.exp(A[v]) + T.float32(0.123)")
    target = '{"kind":"cuda","arch":"sm_90"}'
    source = code(script, mutant, target)
    assert source != code(script, None, target)
    with parse_target(target):
        assert nvcc.compile_cuda(source, target_format="ptx", arch="sm_90", compiler="nvcc")


def test_a_callback_of_the_users_is_kept_and_comes_first():
    name = "tvm_callback_cuda_postproc"
    tvm.register_global_func(name, lambda text, _target: f"{text}\n// users", override=True)
    try:
        mutated = code(EXPONENTIALS, "code.fast-function")
        assert "// users" in mutated and "__expf(" in mutated
        assert "// users" in code(EXPONENTIALS) and "__expf(" not in code(EXPONENTIALS)
    finally:
        import tvm_ffi

        tvm_ffi.remove_global_func(name)
    assert "// users" not in code(EXPONENTIALS)
    assert tvm.get_global_func(name, allow_missing=True) is None


def test_code_of_an_unknown_kind_is_not_generated_and_has_no_sites():
    metal = Stages(load_model("zoo://alexnet").module, parse_target("webgpu"))
    assert metal.code().texts == () and metal.function_names(Slot.TEXT) == []
    assert metal.site_counts(selection("code.drop-barrier@*#*")) == {}

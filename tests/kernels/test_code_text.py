"""Digests of single kernels in the generated code of many."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from shutil import which

import pytest
import tvm
from tvm.tirx import PrimFunc

from tvm_mutate.device import parse_device
from tvm_mutate.evaluate.program import take_program
from tvm_mutate.kernels import Kernel, build_batch, parse_target
from tvm_mutate.kernels.code_text import kernels_with_undefined_values, llvm_digests
from tvm_mutate.model import Workload, load_inputs, load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import ENTRY_PREFIX, apply_mutations, selections_by_slot
from tvm_mutate.pipeline import Stages

CATALOGUE = builtin_catalogue()
CLANG = pytest.param('{"kind":"c","compiler":"clang"}', marks=pytest.mark.skipif(not which("clang"), reason="no clang"))
DEVICES = ["llvm", '{"kind":"llvm","mcpu":"x86-64-v3"}', "c", '{"kind":"c","flags":["-O3"]}', CLANG]


def built(functions: Mapping[str, PrimFunc], text: str, folder: Path) -> dict[str, Kernel]:
    device = parse_device(text)
    return build_batch(functions, parse_target(device.target), folder, toolchain=device.toolchain)


@pytest.fixture(scope="module")
def kernels() -> dict[str, tvm.tirx.PrimFunc]:
    model = load_model("zoo://alexnet")
    workload = Workload(model.scenario, load_inputs("zoo://digits", model, limit=1).samples)
    program = take_program(Stages(model.module, parse_target("llvm")).at(Slot.KERNEL), workload)
    return {name: program.kernels[name] for name in sorted(program.kernels)[:5]}


def mutated(kernels: dict[str, tvm.tirx.PrimFunc], mutant: str) -> dict[str, tvm.tirx.PrimFunc]:
    selections = selections_by_slot(CATALOGUE.parse(mutant).mutations, CATALOGUE)[Slot.KERNEL]
    module, report = apply_mutations(tvm.IRModule(dict(kernels)), selections)
    assert any(each.changed for each in report)
    return {name: module[name] for name in kernels}


@pytest.mark.parametrize("device", DEVICES)
def test_a_kernel_has_one_digest_alone_among_others_and_under_another_name(kernels, device: str, tmp_path: Path):
    together = built(kernels, device, tmp_path / "together")
    assert len({kernel.digest for kernel in together.values()}) == len(kernels)
    for name, function in list(kernels.items())[1:4]:
        alone = built({"another_name": function}, device, tmp_path / name)
        assert alone["another_name"].digest == together[name].digest


@pytest.mark.parametrize("device", DEVICES)
def test_digests_differ_for_constants_and_are_equal_for_folded_code(kernels, device: str, tmp_path: Path):
    plain = built(kernels, device, tmp_path / "plain")

    def changed(mutant: str) -> list[str]:
        functions = mutated(kernels, mutant)
        changed = built(functions, device, tmp_path / "mutated")
        return [name for name in functions if changed[name].digest != plain[name].digest]

    (stored,) = changed("tir.scale-store{ulps=1048576}@fused_conv2d_add_relu#2")
    assert stored == "fused_conv2d_add_relu"
    assert changed("tir.scale-store{epsilon=1e-08}@fused_conv2d_add_relu#2") == []


def test_vectors_that_are_filled_later_and_comments_are_no_undefined_values():
    function = "define dllexport i32 @__tvm_ffi_f(ptr %0) {\n  %1 = \n}\n"
    for instruction, undefined in (
        ("phi float [ undef, %entry ], [ %2, %for_body ]", True),
        ("fadd float undef, %0", True),
        ("insertelement <4 x float> poison, float %0, i64 0", False),
        ("call float @undef(float %0)", False),
    ):
        text = function.replace("%1 = ", f"%1 = {instruction}\n    #dbg_value(i32 undef, !28)")
        assert kernels_with_undefined_values(text, ["f"]) == (frozenset("f") if undefined else frozenset())


@pytest.mark.parametrize("suffix", ["", ".w4.b0"])
def test_the_digest_does_not_depend_on_the_addresses_that_name_the_alias_classes_of_buffers(suffix: str):
    def digest(address: str, other: str) -> str:
        code = f"define i32 @{ENTRY_PREFIX}k() {{\n  store float 0.0, ptr %a, !tbaa !1\n  ret i32 0\n}}\n"
        return llvm_digests(f'{code}!1 = !{{!"{address}{suffix}", !2}}\n!2 = !{{!"{other}{suffix}"}}\n', ["k"])["k"]

    assert digest("0x55a0", "0x55b0") == digest("0x7fc0", "0x7fd0") != digest("0x55a0", "0x55a0")

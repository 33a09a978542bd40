"""Digests of kernels for GPUs: device source and the launches by the host."""

from __future__ import annotations

from pathlib import Path

import pytest
import tvm
from tvm.tirx import PrimFunc

from tvm_mutate.kernels import build_batch, generated_text, host_text, module_of, parse_target
from tvm_mutate.kernels.compiled_model import build_kernels
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import apply_mutations, selections_by_slot
from tvm_mutate.pipeline import generate

CUDA = '{"kind":"cuda","arch":"sm_80"}'
TARGETS = (CUDA, "opencl", "webgpu")
SCRIPT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for b in T.thread_binding(4, thread="blockIdx.x"):
        for t in T.thread_binding(4, thread="threadIdx.x"):
            B[b * 4 + t] = {value}
"""
BLOCKS = "tir.thread-extent@*#1"
CATALOGUE = builtin_catalogue()


def kernel(value: str) -> PrimFunc:
    return tvm.script.from_source(SCRIPT.format(value=value))


def mutated(function: PrimFunc, mutant: str) -> PrimFunc:
    ((_, selections),) = selections_by_slot(CATALOGUE.parse(mutant).mutations, CATALOGUE).items()
    module, (applied,) = apply_mutations(tvm.IRModule({"main": function}), selections)
    assert applied.changed
    return module["main"]


def digests(target: str, folder: Path, **functions: PrimFunc) -> dict[str, str]:
    built = build_batch(functions, parse_target(target), folder)
    return {name: kernel.digest for name, kernel in built.items()}


@pytest.mark.parametrize("target", TARGETS)
def test_a_launch_of_fewer_blocks_has_the_same_device_source_and_another_digest(target: str, tmp_path: Path):
    plain = kernel("A[b * 4 + t]")
    fewer = mutated(plain, BLOCKS)
    chosen = parse_target(target)
    built = [generate(module_of({"main": each}), chosen) for each in (plain, fewer)]
    texts = [generated_text(each, chosen.kind.name) for each in built]
    assert texts[0] == texts[1]
    hosts = [host_text(each, chosen.kind.name).splitlines() for each in built]
    changed = [pair for pair in zip(*hosts, strict=True) if pair[0] != pair[1]]
    assert [tuple(line.split(",")[0].strip() for line in pair) for pair in changed] == [("store i64 4", "store i64 3")]
    assert digests(target, tmp_path, main=plain) != digests(target, tmp_path, main=fewer)
    whole = [build_kernels(module_of({"main": each}), chosen, tmp_path).digest for each in (plain, fewer, plain)]
    assert whole[0] == whole[2] != whole[1]


def test_the_digest_of_a_gpu_kernel_does_not_depend_on_other_kernels(tmp_path: Path):
    functions = {"first": kernel("A[b * 4 + t]"), "second": kernel("A[t]")}
    together = digests(CUDA, tmp_path, **functions)
    assert together["first"] != together["second"]
    assert digests(CUDA, tmp_path, **functions) == together
    assert digests(CUDA, tmp_path, second=functions["second"])["second"] == together["second"]


def test_cpu_targets_have_no_separate_host_code():
    module = generate(module_of({"main": tvm.script.from_source(SCRIPT.format(value="A[t]"))}), parse_target(CUDA))
    assert host_text(module, "llvm") == "" and "define" in host_text(module, "cuda")

"""Digests of kernels for GPUs: device source, with what the host launches of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tvm
import tvm_ffi
from tvm.tirx import PrimFunc

from tvm_mutate.build import build_batch, build_kernels, generate, generated_text, host_text, module_of, parse_target
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import apply_mutations, selections_by_slot

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
def test_a_launch_of_fewer_blocks_has_the_same_device_source_and_is_other_code(target: str, tmp_path: Path):
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


@pytest.mark.parametrize("target", [CUDA, "opencl"])
def test_a_kernel_for_a_gpu_has_one_digest_alone_and_among_others(target: str, tmp_path: Path):
    functions = {"first": kernel("A[b * 4 + t]"), "second": kernel("T.exp(A[b * 4 + t])"), "third": kernel("A[t]")}
    together = digests(target, tmp_path, **functions)
    assert len(set(together.values())) == 3
    for name, function in functions.items():
        assert digests(target, tmp_path, **{name: function}) == {name: together[name]}


@pytest.mark.parametrize("target", [CUDA, "opencl"])
def test_another_kernel_for_a_gpu_that_becomes_the_same_code_has_the_same_digest(target: str, tmp_path: Path):
    plain = digests(target, tmp_path, first=kernel("A[b * 4 + t]"), second=kernel("A[t] * A[t]"))
    simplified = kernel("A[(b * 8 + t * 2) // 2]")
    assert not tvm_ffi.structural_equal(simplified, kernel("A[b * 4 + t]"))
    assert digests(target, tmp_path, first=simplified)["first"] == plain["first"]
    scaled = mutated(kernel("A[b * 4 + t]"), "tir.scale-store{epsilon=0.5}@*#*")
    assert digests(target, tmp_path, first=scaled)["first"] != plain["first"]


def test_code_that_cannot_be_taken_apart_is_equal_only_as_a_whole(tmp_path: Path):
    functions = {"first": kernel("A[b * 4 + t]"), "second": kernel("A[t]")}
    together = digests("webgpu", tmp_path, **functions)
    assert digests("webgpu", tmp_path, **functions) == together
    assert digests("webgpu", tmp_path, second=functions["second"])["second"] != together["second"]


def test_cpus_have_no_host_apart():
    module = generate(module_of({"main": tvm.script.from_source(SCRIPT.format(value="A[t]"))}), parse_target(CUDA))
    assert host_text(module, "llvm") == "" and "define" in host_text(module, "cuda")

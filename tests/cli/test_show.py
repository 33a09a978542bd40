"""``tvm-mutate show``: the difference in the IR, and in the generated code."""

from __future__ import annotations

import math
import re

import pytest
from tvm import relax
from tvm.ir import Op

from tvm_mutate.model import load_model
from tvm_mutate.report.changes import script_with_constants

from .conftest import Tool, assert_refused

MODEL = "zoo://alexnet"
MUTANT = "tir.swap-compare{from=gt,to=ge}@fused_matmul_add4_relu4#0"
EQUIVALENT = "tir.scale-store{epsilon=1e-08}@fused_matmul_add4_relu4#*"


def parts_of(text: str) -> list[str]:
    """The unified differences in a text, split where each begins."""
    return [f"--- {part}" for part in text.split("--- ") if part.strip()]


def test_the_difference_of_the_script_has_only_the_changed_site(tool: Tool):
    ended = tool("show", MUTANT, MODEL)
    (part,) = parts_of(ended.out)
    assert part.startswith(
        "--- unmutated/kernel/fused_matmul_add4_relu4\n+++ mutated/kernel/fused_matmul_add4_relu4\n@@ "
    )
    gone = [line for line in part.splitlines()[2:] if line.startswith("-")]
    come = [line for line in part.splitlines()[2:] if line.startswith("+")]
    assert len(gone) == len(come) == 1
    assert "T.max(" in gone[0] and ">= T.float32(0.0)" in come[0]


@pytest.mark.parametrize("target", ["c", '{"kind":"cuda","arch":"sm_80"}'], ids=["c", "cuda"])
def test_the_difference_of_generated_code_follows_that_of_the_script(tool: Tool, target: str):
    mutant = "tir.swap-compare{from=gt,to=ge}@fused_conv2d_add_relu#*"
    ended = tool("show", mutant, MODEL, "--target", target, "--context", "0")
    kind = "cuda" if "cuda" in target else target
    script, code = parts_of(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert script.startswith("--- unmutated/kernel/fused_conv2d_add_relu\n")
    assert code.startswith(f"--- unmutated/{kind}\n+++ mutated/{kind}\n")
    come = [line for line in code.splitlines()[2:] if line.startswith("+")]
    gone = [line for line in code.splitlines()[2:] if line.startswith("-")]
    assert any("<=" in line for line in come) and not any("<=" in line for line in gone)
    assert not any(line.startswith(" ") for line in code.splitlines())


def test_a_mutant_of_weights_shows_which_elements_it_changes(tool: Tool):
    ended = tool("show", "graph.flip-weight-bit{bit=31}@main#3", MODEL, "--context", "0")
    gone, come, elements = ended.out.splitlines()[3:]
    weights = re.search(r"<float32\[(.*?)\] \w{8}>", gone)
    assert weights and weights[0] not in come and weights[0] in elements
    size = math.prod(map(int, weights[1].split(", ")))
    before, after = re.search(rf": 1 of {size} elements differ, \[.*\]: (\S+) -> (\S+)$", elements).groups()
    assert float(after) == -float(before) != 0.0


def test_constants_have_their_names_at_their_uses():
    function = load_model("zoo://shufflenetv2").module["main"]
    calls = re.findall(r"= R\.nn\.conv2d\(\w+, (?:<float32\[(.*?)\])", script_with_constants(function))
    weights = []
    relax.analysis.post_order_visit(
        function,
        lambda node: weights.append(node.args[1]) if getattr(node, "op", None) == Op.get("relax.nn.conv2d") else None,
    )
    assert calls == [", ".join(map(str, each.value.shape)) for each in weights] and len(calls) == 18


def test_unchanged_code_is_reported_as_the_same(tool: Tool):
    ended = tool("show", EQUIVALENT, MODEL, "--target", "llvm")
    assert ended.code == 0
    assert "+++ mutated/kernel/fused_matmul_add4_relu4" in ended.out
    assert ended.out.splitlines()[-1] == "the code generated for llvm is the same"


def test_a_mutant_of_generated_code_is_shown_once_in_the_code_of_its_kernel(tool: Tool):
    mutant = "code.llvm-multiply-add{to=fused}@fused_matmul2_add5#0"
    for options in ((), ("--target", "llvm")):
        ended = tool("show", mutant, MODEL, "--context", "0", *options)
        (part,) = parts_of(ended.out)
        assert part.startswith("--- unmutated/text/fused_matmul2_add5\n+++ mutated/text/fused_matmul2_add5\n@@ ")
        gone, come = part.splitlines()[3:5]
        assert "@llvm.fmuladd.f32(" in gone and come[1:] == gone[1:].replace("fmuladd", "fma")


def test_a_change_of_llvm_ir_that_is_lost_in_the_machine_code_is_reported(tool: Tool):
    ended = tool("show", "code.integer-flag{flag=inbounds}@max_pool2d2#0", MODEL, "--target", "llvm")
    assert "+++ mutated/text/max_pool2d2" in ended.out
    assert ended.out.splitlines()[-1] == "the machine code that LLVM makes of it is the same"


def test_the_source_for_a_gpu_is_shown_with_one_barrier_less(tool: Tool):
    ended = tool("show", "code.drop-barrier@fused_matmul2_add5_kernel#1", MODEL, "--target", "opencl", "--context", "0")
    (part,) = parts_of(ended.out)
    assert part.splitlines()[3:] == ["-  barrier(CLK_LOCAL_MEM_FENCE);", "+  /* no barrier */;"]


def test_fewer_blocks_are_shown_in_the_code_of_the_host_that_launches_them(tool: Tool):
    ended = tool("show", "tir.thread-extent@max_pool2d#1", MODEL, "--target", "cuda", "--context", "0")
    host = parts_of(ended.out)[-1]
    assert host.startswith("--- unmutated/cuda/host\n+++ mutated/cuda/host\n")
    assert [line.split(",")[0] for line in host.splitlines()[3:]] == ["-  store i64 2", "+  store i64 1"]


def test_cuda_without_a_gpu_or_an_architecture_prints_nothing_on_stderr(tool: Tool):
    ended = tool("list", MODEL, "--operators", "tir.swap-compare", "--target", "cuda", "--json")
    assert (ended.code, ended.err) == (0, "")


def test_a_target_without_a_code_generator_is_refused_by_its_name(process: Tool):
    ended = process("show", MUTANT.replace("fused_matmul_add4_relu4#0", "*#*"), MODEL, "--target", "vulkan")
    assert_refused(ended, "code for vulkan cannot be generated for the unmutated model: ")


@pytest.mark.parametrize(
    ("mutant", "message"),
    [
        ("tir.swap-compare{from=gt,to=ge}@nowhere#*", "no function is named 'nowhere'; there are "),
        ("tir.swap-compare{from=gt,to=ge}@main#99", "has no site in 'main'"),
        ("tir.swap-compare{from=gt,to=ge}@*#99", "there is no site #99; the last one is #0"),
        ("tir.swap-compare{from=gt,to=ge}", "does not parse at"),
        ("tir.swap-compare{from=gt,to=ge}@*#5-2", "run backwards"),
        ("tir.swap-compare{from=gt,too=ge}@*#*", "has no parameter 'too'; did you mean 'to'?"),
        ("tir.swap-compare{from=gt,to=gee}@*#*", "did you mean 'ge'?"),
        ("tir.swop-compare{from=gt,to=ge}@*#*", "did you mean 'tir.swap-compare'?"),
        ("", "does not parse at ''"),
    ],
)
def test_an_impossible_mutant_is_refused(tool: Tool, mutant: str, message: str):
    assert_refused(tool("show", mutant, MODEL), message)


def test_a_fault_in_the_compiler_is_shown_as_lists_of_passes_and_as_code(tool: Tool):
    mutant = "pipeline.skip-pass{pass=tirx.CommonSubexprElim}@fused_conv2d_add_relu#*"
    ended = tool("show", mutant, MODEL, "--target", "c", "--context", "0")
    passes, code = parts_of(ended.out)
    assert passes.startswith("--- unmutated/pipeline/tir/body\n+++ mutated/pipeline/tir/body\n@@ ")
    assert passes.splitlines()[3:] == ["-tirx.CommonSubexprElim"]
    changed = [line for line in code.splitlines()[2:] if line[0] in "+-"]
    assert changed and any("cse_v" in line for line in changed)
    assert not any("cse_v" in line for line in changed if line.startswith("+"))

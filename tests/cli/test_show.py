"""``tvm-mutate show``: the difference in the IR, and in the generated code."""

from __future__ import annotations

import pytest

from .conftest import Tool, assert_refused

MODEL = "zoo://alexnet"
MUTANT = "tir.swap-compare{from=gt,to=ge}@fused_matmul_add4_relu4#0"
EQUIVALENT = "tir.scale-store{epsilon=1e-08}@fused_matmul_add4_relu4#*"


def parts_of(text: str) -> list[str]:
    """The unified differences in a text, split where each begins."""
    return [f"--- {part}" for part in text.split("--- ") if part.strip()]


def test_the_difference_of_the_script_has_the_changed_place_and_no_more(tool: Tool):
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


def test_a_mutant_that_changes_no_code_is_said_to_be_the_same(tool: Tool):
    ended = tool("show", EQUIVALENT, MODEL, "--target", "llvm")
    assert ended.code == 0
    assert "+++ mutated/kernel/fused_matmul_add4_relu4" in ended.out
    assert ended.out.splitlines()[-1] == "the code generated for llvm is the same"


def test_cuda_without_a_gpu_or_an_architecture_says_nothing_on_stderr(tool: Tool):
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
def test_a_mutant_that_cannot_be_is_refused(tool: Tool, mutant: str, message: str):
    assert_refused(tool("show", mutant, MODEL), message)


def test_of_a_fault_in_the_compiler_the_lists_of_passes_are_shown_and_the_code(tool: Tool):
    mutant = "pipeline.skip-pass{pass=tirx.CommonSubexprElim}@fused_conv2d_add_relu#*"
    ended = tool("show", mutant, MODEL, "--target", "c", "--context", "0")
    passes, code = parts_of(ended.out)
    assert passes.startswith("--- unmutated/pipeline/tir/body\n+++ mutated/pipeline/tir/body\n@@ ")
    assert passes.splitlines()[3:] == ["-tirx.CommonSubexprElim"]
    changed = [line for line in code.splitlines()[2:] if line[0] in "+-"]
    assert changed and any("cse_v" in line for line in changed)
    assert not any("cse_v" in line for line in changed if line.startswith("+"))

"""Branches that are always or never taken, or taken the other way round."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from small_kernels import INDEX, UNTOUCHED, assert_same_bits, kernel, ramp, run, selection, sites, statement

from tvm_mutate.mutant import Slot
from tvm_mutate.passes import find_sites
from tvm_mutate.pipeline import lower_kernels

GUARD = statement("if i < 9:\n            B[i] = A[i]")
ELSE = statement("if i < 9:\n            B[i] = A[i]\n        else:\n            B[i] = W[i]")
CALL = kernel("T.if_then_else(i < 9, A[i], W[i])")
SELECT = kernel("T.Select(A[i] < T.float32(0), A[i], W[i])")
BLOCK = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), W: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i, j in T.grid(4, 4):
        with T.sblock("copy"):
            vi = T.axis.spatial(16, i * 4 + j)
            T.where(i * 4 + j < 9)
            B[vi] = A[vi]
"""
A, W, NOTHING = ramp(), ramp(3), np.full(16, UNTOUCHED, "float32")
CASES: list[tuple[str, str, np.ndarray]] = [
    (GUARD, "tir.negate-condition", np.where(INDEX < 9, NOTHING, A)),
    (ELSE, "tir.negate-condition", np.where(INDEX < 9, W, A)),
    (CALL, "tir.negate-condition", np.where(INDEX < 9, W, A)),
    (SELECT, "tir.negate-condition", np.where(A < 0, W, A)),
    (BLOCK, "tir.negate-condition", np.where(INDEX < 9, NOTHING, A)),
    (GUARD, "tir.force-condition", NOTHING),
    (ELSE, "tir.force-condition", W),
    (CALL, "tir.force-condition", W),
    (SELECT, "tir.force-condition", W),
    (BLOCK, "tir.force-condition", NOTHING),
    (ELSE, "tir.force-condition{to=true}", A),
    (CALL, "tir.force-condition{to=true}", A),
    (SELECT, "tir.force-condition{to=true}", A),
    (GUARD, "tir.drop-guard", A),
    (BLOCK, "tir.drop-guard", A),
]


@pytest.mark.parametrize("slot", ["kernel", "lowered", "codegen"])
@pytest.mark.parametrize(("script", "mutant", "expected"), CASES)
def test_the_branch_that_the_fault_says_is_taken(script: str, mutant: str, expected: np.ndarray, slot: str):
    assert_same_bits(run(script, mutant, A, W, slot=slot), expected)


@pytest.mark.parametrize(
    ("script", "mutant"),
    [
        (GUARD, "tir.force-condition{to=true}"),  # tir.drop-guard does that
        (BLOCK, "tir.force-condition{to=true}"),
        (ELSE, "tir.drop-guard"),
        (CALL, "tir.drop-guard"),
        (BLOCK.replace("            T.where(i * 4 + j < 9)\n", ""), "tir.negate-condition"),
        (kernel("T.exp(A[i])"), "tir.negate-condition"),
    ],
)
def test_what_another_operator_does_and_what_has_no_condition_is_no_site(script: str, mutant: str):
    assert not sites(script, mutant)


def test_a_negated_condition_loses_its_not():
    (site,) = sites(GUARD.replace("i < 9", "not i < 9"), "tir.negate-condition")
    assert "not" not in site.after


@pytest.mark.parametrize("mutant", ["negate-condition", "force-condition", "drop-guard"])
def test_the_checks_around_allocations_at_run_time_are_no_sites(mutant: str):
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4096,), "float32"), B: T.Buffer((4096,), "float32")):
    T.func_attr({"global_symbol": "main"})
    P = T.alloc_buffer((4096,), "float32")
    for i in range(4096):
        with T.sblock("first"):
            vi = T.axis.spatial(4096, i)
            P[vi] = A[vi] + T.float32(1)
    for i in range(4096):
        with T.sblock("second"):
            vi = T.axis.spatial(4096, i)
            B[vi] = P[4095 - vi]
"""
    module = tvm.IRModule({"main": tvm.script.from_source(script)})
    door = lower_kernels(module, tvm.target.Target("llvm"), Slot.CODEGEN)
    assert "TVMBackendFreeWorkspace" in door.script() and "isnullptr" in door.script()
    assert not find_sites(door, selection(f"tir.{mutant}{{slot=codegen}}@*#*"))

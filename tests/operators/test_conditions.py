"""Mutated branches, connectives and thresholds; integer thresholds are compared with exact arithmetic on fractions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import tvm
import tvm_ffi
from hypothesis import given
from hypothesis import strategies as st
from mutated_kernels import (
    CATALOGUE,
    INDEX,
    UNTOUCHED,
    assert_same_bits,
    ramp,
    run,
    selection,
    sites,
    statement,
    storing,
)
from tvm import tirx
from tvm.ir import prim

from tvm_mutate.mutant import Slot, TirRule
from tvm_mutate.passes import find_sites
from tvm_mutate.pipeline import lower_kernels

GUARD = statement("if i < 9:\n            B[i] = A[i]")
ELSE = statement("if i < 9:\n            B[i] = A[i]\n        else:\n            B[i] = W[i]")
CALL = storing("T.if_then_else(i < 9, A[i], W[i])")
SELECT = storing("T.Select(A[i] < T.float32(0), A[i], W[i])")
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
def test_the_mutated_branch_is_taken(script: str, mutant: str, expected: np.ndarray, slot: str):
    assert_same_bits(run(script, mutant, A, W, slot=slot), expected)


@pytest.mark.parametrize(
    ("script", "mutant"),
    [
        (GUARD, "tir.force-condition{to=true}"),  # tir.drop-guard does that
        (BLOCK, "tir.force-condition{to=true}"),
        (ELSE, "tir.drop-guard"),
        (CALL, "tir.drop-guard"),
        (BLOCK.replace("            T.where(i * 4 + j < 9)\n", ""), "tir.negate-condition"),
        (storing("T.exp(A[i])"), "tir.negate-condition"),
    ],
)
def test_mutants_of_other_operators_and_nodes_without_condition_are_no_sites(script: str, mutant: str):
    assert not sites(script, mutant)


def test_a_negated_condition_loses_its_not():
    (site,) = sites(GUARD.replace("i < 9", "not i < 9"), "tir.negate-condition")
    assert "not" not in site.after


@pytest.mark.parametrize("mutant", ["negate-condition", "force-condition", "drop-guard"])
def test_checks_of_allocations_are_no_sites(mutant: str):
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
    lowered = lower_kernels(module, tvm.target.Target("llvm"), Slot.CODEGEN)
    assert "TVMBackendFreeWorkspace" in lowered.script() and "isnullptr" in lowered.script()
    assert not find_sites(lowered, selection(f"tir.{mutant}{{slot=codegen}}@*#*"))


AND = statement("if 3 <= i and i < 9:\n            B[i] = A[i]")
OR = statement("if i < 3 or 9 <= i:\n            B[i] = A[i]")
CHAIN = statement("if (3 <= i and i < 9) and A[i] < T.float32(0):\n            B[i] = A[i]")
FAULTS: list[tuple[str, str, str, Callable[[np.ndarray], np.ndarray]]] = [
    (AND, "tir.swap-logic", "0", lambda i: i >= 0),
    (OR, "tir.swap-logic{from=or}", "0", lambda i: i < 0),
    (AND, "tir.drop-operand", "0", lambda i: i >= 3),
    (AND, "tir.drop-operand{operand=left}", "0", lambda i: i < 9),
    (OR, "tir.drop-operand", "0", lambda i: i < 3),
    (OR, "tir.drop-operand{operand=left}", "0", lambda i: i >= 9),
    (CHAIN, "tir.drop-operand", "0", lambda i: (i >= 3) & (ramp() < 0)),
    (CHAIN, "tir.drop-operand", "1", lambda i: (i >= 3) & (i < 9)),
]


@pytest.mark.parametrize("slot", ["kernel", "lowered", "codegen"])
@pytest.mark.parametrize(("script", "mutant", "site", "holds"), FAULTS)
def test_the_mutated_condition_decides(
    script: str, mutant: str, site: str, holds: Callable[[np.ndarray], np.ndarray], slot: str
):
    computed = run(script, mutant, ramp(), ramp(), slot=slot, site=site)
    assert_same_bits(computed, np.where(holds(INDEX), ramp(), np.float32(UNTOUCHED)))


def test_a_condition_without_connectives_is_no_site():
    assert not sites(statement("if i < 3:\n            B[i] = A[i]"), "tir.drop-operand")


COMPARISONS: list[tuple[type, Callable[[Any, Any], bool]]] = [
    (prim.LT, operator.lt),
    (prim.LE, operator.le),
    (prim.GT, operator.gt),
    (prim.GE, operator.ge),
    (prim.EQ, operator.eq),
    (prim.NE, operator.ne),
]
SMALL = st.integers(-20, 20)


def value_of(expression: Any, values: dict[Any, int]) -> int:
    """The value of an integer expression."""
    replaced = tvm_ffi.structural_map(
        expression, [(tirx.Var, lambda variable: prim.IntImm("int32", values[variable.name]))]
    )
    return int(tvm.sym.Analyzer().simplify(replaced))


def rewritten(node: Any, name: str, **parameters: float) -> Any:
    """The node with another threshold; the same node if the node is no site."""
    rule = CATALOGUE[name].rule
    assert isinstance(rule, TirRule)
    moved = rule.rewrite(node, parameters)
    return node if moved is None else moved


@given(st.sampled_from(COMPARISONS), SMALL, SMALL, st.integers(-12, 12), st.booleans(), st.booleans())
def test_a_shifted_integer_threshold_decides_as_real_numbers_would(
    comparison: tuple[type, Callable[[Any, Any], bool]],
    a: int,
    t: int,
    quarters: int,
    on_the_left: bool,
    constant: bool,
):
    node_type, holds = comparison
    variable = tirx.Var("a", "int32")
    threshold = prim.IntImm("int32", t) if constant else tirx.Var("t", "int32")
    left = on_the_left and constant  # a threshold that is no constant stands on the right
    node = node_type(threshold, variable) if left else node_type(variable, threshold)
    shifted = rewritten(node, "tir.shift-threshold", by=quarters / 4)
    real = t + Fraction(quarters, 4)
    assert bool(value_of(shifted, {"a": a, "t": t})) == (holds(real, a) if left else holds(a, real))


@given(st.booleans(), SMALL, SMALL, st.integers(-12, 12), st.booleans())
def test_a_min_or_max_with_a_shifted_threshold_still_gives_one_of_its_arguments(
    is_max: bool, a: int, t: int, quarters: int, on_the_left: bool
):
    variable, threshold = tirx.Var("a", "int32"), prim.IntImm("int32", t)
    first, second = (threshold, variable) if on_the_left else (variable, threshold)
    shifted = rewritten((prim.Max if is_max else prim.Min)(first, second), "tir.shift-threshold", by=quarters / 4)
    real = t + Fraction(quarters, 4)
    left, right = (real, a) if on_the_left else (a, real)
    takes_first = left > right if is_max else left < right
    assert value_of(shifted, {"a": a}) == (t if takes_first == on_the_left else a)


@given(st.integers(-1000, 1000), st.integers(-100, 100), st.booleans())
def test_a_scaled_integer_threshold_is_the_nearest_integer(t: int, percent: int, on_the_left: bool):
    variable, threshold = tirx.Var("a", "int32"), prim.IntImm("int32", t)
    node = prim.LT(threshold, variable) if on_the_left else prim.LT(variable, threshold)
    expected = round(Fraction(t) * (100 + percent) / 100)
    for moved in (
        rewritten(node, "tir.percent-threshold", percent=float(percent)),
        rewritten(node, "tir.scale-threshold", factor=(100 + percent) / 100),
    ):
        assert int(moved.a if on_the_left else moved.b) == expected

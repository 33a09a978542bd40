"""What becomes of integer thresholds, against exact arithmetic on fractions; nothing is built."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import tvm
import tvm_ffi
from hypothesis import given
from hypothesis import strategies as st
from tvm import tirx
from tvm.ir import prim

from tvm_mutate.mutant import TirRule
from tvm_mutate.operators import builtin_catalogue

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
    """What an integer expression comes to."""
    replaced = tvm_ffi.structural_map(
        expression, [(tirx.Var, lambda variable: prim.IntImm("int32", values[variable.name]))]
    )
    return int(tvm.sym.Analyzer().simplify(replaced))


def rewritten(node: Any, name: str, **parameters: float) -> Any:
    """The node with the threshold moved; itself where there is no site, since nothing would change."""
    rule = builtin_catalogue()[name].rule
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

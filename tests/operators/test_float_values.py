"""Floating-point arithmetic that is replaced, and values that lose or gain a minus sign."""

from __future__ import annotations

import numpy as np
import pytest
from small_kernels import assert_same_bits, kernel, ramp, run, sites

SLOTS = ("kernel", "lowered", "codegen")
ARITHMETIC = {
    "add": ("+", np.add),
    "subtract": ("-", np.subtract),
    "multiply": ("*", np.multiply),
    "divide": ("/", np.divide),
}
PAIRS = [(before, after) for before in ARITHMETIC for after in ARITHMETIC if before != after]


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_the_other_operation_is_computed(before: str, after: str, slot: str):
    mutant = f"tir.replace-float-arithmetic{{from={before},to={after}}}"
    script = kernel(f"A[i] {ARITHMETIC[before][0]} W[i]")
    computed = run(script, mutant, ramp(), ramp(3), slot=slot)
    assert_same_bits(computed, ARITHMETIC[after][1](ramp(), ramp(3)))


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_integers_and_indices_are_no_sites_of_float_arithmetic(before: str, after: str):
    mutant = f"tir.replace-float-arithmetic{{from={before},to={after}}}"
    assert not sites(kernel("A[T.Div(i * 2 + 1 - W[i], 3)] - W[i] * W[0] + A[0]", "int32"), mutant)


@pytest.mark.parametrize("slot", SLOTS)
def test_a_loaded_value_is_negated_at_each_of_its_sites(slot: str):
    script = kernel("A[i] + W[i]")
    assert_same_bits(run(script, "tir.negate-value", ramp(), ramp(3), slot=slot, site="0"), ramp(3) - ramp())
    assert_same_bits(run(script, "tir.negate-value", ramp(), ramp(3), slot=slot, site="1"), ramp() - ramp(3))


@pytest.mark.parametrize("value", ["-A[i]", "T.float32(0) - A[i]", "T.float32(-1) * A[i]"])
def test_a_minus_sign_is_dropped_however_it_is_written(value: str):
    assert_same_bits(run(kernel(value), "tir.negate-value{sign=drop}", ramp(), ramp(3)), ramp())


def test_only_minus_signs_are_dropped_and_only_loaded_floats_get_one():
    assert not sites(kernel("A[i] * T.float32(2) - T.float32(1)"), "tir.negate-value{sign=drop}")
    assert not sites(kernel("A[i] - W[i]", "int32"), "tir.negate-value")
    assert len(sites(kernel("T.exp(A[i] * T.float32(2)) - T.float32(1)"), "tir.negate-value")) == 1

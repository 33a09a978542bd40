"""What kernels compute with mutated arithmetic, constants, functions, types, extrema and divisions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mutated_kernels import CATALOGUE, assert_same_bits, built, code, ramp, run, sites, storing

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
    script = storing(f"A[i] {ARITHMETIC[before][0]} W[i]")
    computed = run(script, mutant, ramp(), ramp(3), slot=slot)
    assert_same_bits(computed, ARITHMETIC[after][1](ramp(), ramp(3)))


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_integers_and_indices_are_no_sites_of_float_arithmetic(before: str, after: str):
    mutant = f"tir.replace-float-arithmetic{{from={before},to={after}}}"
    assert not sites(storing("A[T.Div(i * 2 + 1 - W[i], 3)] - W[i] * W[0] + A[0]", "int32"), mutant)


@pytest.mark.parametrize("slot", SLOTS)
def test_a_loaded_value_is_negated_at_each_of_its_sites(slot: str):
    script = storing("A[i] + W[i]")
    assert_same_bits(run(script, "tir.negate-value", ramp(), ramp(3), slot=slot, site="0"), ramp(3) - ramp())
    assert_same_bits(run(script, "tir.negate-value", ramp(), ramp(3), slot=slot, site="1"), ramp() - ramp(3))


@pytest.mark.parametrize("value", ["-A[i]", "T.float32(0) - A[i]", "T.float32(-1) * A[i]"])
def test_a_minus_sign_is_dropped_in_all_three_forms(value: str):
    assert_same_bits(run(storing(value), "tir.negate-value{sign=drop}", ramp(), ramp(3)), ramp())


def test_only_minus_signs_are_dropped_and_only_loaded_floats_get_one():
    assert not sites(storing("A[i] * T.float32(2) - T.float32(1)"), "tir.negate-value{sign=drop}")
    assert not sites(storing("A[i] - W[i]", "int32"), "tir.negate-value")
    assert len(sites(storing("T.exp(A[i] * T.float32(2)) - T.float32(1)"), "tir.negate-value")) == 1


LOWEST = "T.float32(-3.4028234663852886e38)"


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(
    ("change", "constant"), [("increment", 3.5), ("decrement", 1.5), ("negate", -2.5), ("zero", 0.0)]
)
def test_the_kernel_computes_with_the_changed_constant(change: str, constant: float, slot: str):
    mutant = f"tir.perturb-constant{{change={change}}}"
    computed = run(storing("T.max(A[i], T.float32(2.5))"), mutant, ramp(), ramp(), slot=slot)
    assert_same_bits(computed, np.maximum(ramp(), np.float32(constant)))


@pytest.mark.parametrize(
    ("constant", "changes"),
    [
        ("T.float32(0)", {"increment", "decrement"}),  # -0 equals 0
        ("T.float32(1)", {"increment", "decrement", "negate", "zero"}),
        (LOWEST, {"negate", "zero"}),  # adding one to it does not change it
    ],
)
def test_a_constant_that_would_keep_its_value_is_no_site(constant: str, changes: set[str]):
    found = {
        change
        for change in ("increment", "decrement", "negate", "zero")
        if sites(storing(f"T.max(A[i], {constant})"), f"tir.perturb-constant{{change={change}}}")
    }
    assert found == changes


def test_integer_constants_are_no_sites():
    assert not sites(storing("A[i // 2 + 3] + W[i]"), "tir.perturb-constant")
    assert not sites(storing("A[i] + 3", "int32"), "tir.perturb-constant")


FUNCTIONS = {
    "exp": np.exp,
    "exp2": np.exp2,
    "exp10": lambda x: np.float32(10) ** x,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "erf": np.vectorize(math.erf),
    "log": np.log,
    "log2": np.log2,
    "log1p": np.log1p,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "trunc": np.trunc,
    "sin": np.sin,
    "cos": np.cos,
}
NEIGHBOURS = [(str(each["from"]), str(each["to"])) for each in CATALOGUE["tir.replace-intrinsic"].all_variants()]


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
@pytest.mark.parametrize(("before", "after"), NEIGHBOURS)
def test_the_replacing_function_is_computed(before: str, after: str, slot: str):
    x = np.abs(ramp())
    computed = run(storing(f"T.{before}(A[i])"), f"tir.replace-intrinsic{{from={before},to={after}}}", x, x, slot=slot)
    np.testing.assert_allclose(computed, FUNCTIONS[after](x), rtol=2e-5, atol=1e-6)
    assert not np.allclose(computed, FUNCTIONS[before](x), rtol=1e-3)


@pytest.mark.parametrize(("before", "after"), [pair for pair in NEIGHBOURS if pair[0] != "exp2"])
def test_the_c_code_generator_accepts_the_replacing_function(before: str, after: str):
    script = storing(f"T.{before}(A[i])")
    assert code(script, f"tir.replace-intrinsic{{from={before},to={after}}}", "c") != code(script, target="c")


def test_calls_of_other_functions_are_no_sites():
    script = storing("T.if_then_else(i < 3, T.exp(A[i]), T.abs(A[i]))")
    assert len(sites(script, "tir.replace-intrinsic{from=exp,to=exp2}")) == 1
    assert not sites(script, "tir.replace-intrinsic{from=tanh,to=sigmoid}")


THROUGH = [(type_name, site) for type_name in ("float16", "int32", "int16", "int8") for site in "012"]


def narrow(value: np.ndarray, type_name: str) -> np.ndarray:
    return value.astype(type_name).astype("float32")


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(("type_name", "site"), THROUGH)
def test_one_operand_or_the_product_passes_through_the_narrow_type(type_name: str, site: str, slot: str):
    a, w = ramp(), ramp(3)
    mutant = f"tir.narrow-cast{{type={type_name}}}"
    computed = run(storing("T.max(A[i] * W[i], T.float32(-50))"), mutant, a, w, slot=slot, site=site)
    factors = narrow(a, type_name) if site == "0" else a, narrow(w, type_name) if site == "1" else w
    product = factors[0] * factors[1]
    assert_same_bits(computed, np.maximum(narrow(product, type_name) if site == "2" else product, np.float32(-50)))


def test_the_conversions_reach_the_c_source():
    assert "(half)" in code(storing("A[i] + W[i]"), "tir.narrow-cast", "c")


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_only_float32_is_narrowed(dtype: str):
    assert not sites(storing("A[i] * W[i]", dtype), "tir.narrow-cast")


@pytest.mark.parametrize("slot", SLOTS)
def test_a_clip_gives_the_wrong_end_of_its_range(slot: str):
    script = storing("T.min(T.max(A[i], T.float32(-1)), T.float32(6))")
    computed = run(script, "tir.swap-extremum{from=min}", ramp(), ramp(), slot=slot)
    assert_same_bits(computed, np.maximum(ramp(), np.float32(6)))
    computed = run(script, "tir.swap-extremum", ramp(), ramp(), slot=slot)
    assert_same_bits(computed, np.minimum(ramp(), np.float32(-1)))


@pytest.mark.parametrize(
    ("value", "mutant", "other"),
    [
        ("T.max(A[i], W[i])", "tir.swap-extremum", "tir.swap-compare{from=gt,to=lt}"),
        ("T.min(A[i], W[i])", "tir.swap-extremum{from=min}", "tir.swap-compare{from=lt,to=gt}"),
    ],
)
def test_a_swapped_extremum_compiles_to_the_same_code_as_a_swapped_comparison(value: str, mutant: str, other: str):
    assert_same_bits(run(storing(value), mutant, ramp(), ramp(3)), run(storing(value), other, ramp(), ramp(3)))
    assert built(storing(value), mutant).inspect_source("asm") == built(storing(value), other).inspect_source("asm")


def test_integers_which_may_be_indices_are_no_sites():
    assert not sites(storing("A[T.min(i + 1, 15)]"), "tir.swap-extremum{from=min}")
    assert not sites(storing("T.max(A[i], W[i])", "int32"), "tir.swap-extremum")


SIGNED = np.arange(-9, 7, dtype="int32")


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_quotients_and_remainders_of_negative_numbers_change(slot: str):
    floored, truncated = storing("A[i] // 4", "int32"), storing("T.Div(A[i], 4)", "int32")
    assert_same_bits(run(floored, "tir.swap-division", SIGNED, SIGNED, slot=slot), np.trunc(SIGNED / 4).astype("int32"))
    assert_same_bits(run(truncated, "tir.swap-division{from=truncated}", SIGNED, SIGNED, slot=slot), SIGNED // 4)
    assert_same_bits(
        run(storing("A[i] % 4", "int32"), "tir.swap-division", SIGNED, SIGNED, slot=slot), np.fmod(SIGNED, 4)
    )


def test_divisions_of_floats_are_no_sites():
    assert not sites(storing("A[i] / W[i]"), "tir.swap-division{from=truncated}")

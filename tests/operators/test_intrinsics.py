"""Mathematical functions that are replaced: no model of the zoo has any, so that they are shown here."""

from __future__ import annotations

import math

import numpy as np
import pytest
from small_kernels import CATALOGUE, built, kernel, ramp, run, sites

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
VARIANTS = [(str(each["from"]), str(each["to"])) for each in CATALOGUE["tir.replace-intrinsic"].all_variants()]


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
@pytest.mark.parametrize(("before", "after"), VARIANTS)
def test_the_neighbouring_function_is_computed(before: str, after: str, slot: str):
    x = np.abs(ramp())
    computed = run(kernel(f"T.{before}(A[i])"), f"tir.replace-intrinsic{{from={before},to={after}}}", x, x, slot=slot)
    np.testing.assert_allclose(computed, FUNCTIONS[after](x), rtol=2e-5, atol=1e-6)
    assert not np.allclose(computed, FUNCTIONS[before](x), rtol=1e-3)


@pytest.mark.parametrize(("before", "after"), [pair for pair in VARIANTS if pair[0] != "exp2"])
def test_the_c_code_generator_takes_the_neighbouring_function_too(before: str, after: str):
    script = kernel(f"T.{before}(A[i])")
    library = built(script, f"tir.replace-intrinsic{{from={before},to={after}}}", target="c")
    assert library.inspect_source() != built(script, "", target="c").inspect_source()


def test_calls_of_other_functions_are_no_sites():
    script = kernel("T.if_then_else(i < 3, T.exp(A[i]), T.abs(A[i]))")
    assert len(sites(script, "tir.replace-intrinsic{from=exp,to=exp2}")) == 1
    assert not sites(script, "tir.replace-intrinsic{from=tanh,to=sigmoid}")

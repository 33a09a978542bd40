"""Operands that pass through a narrower type within an expression."""

from __future__ import annotations

import numpy as np
import pytest
from small_kernels import assert_same_bits, built, kernel, ramp, run, sites

THROUGH = [(type_name, site) for type_name in ("float16", "int32", "int16", "int8") for site in "012"]


def narrow(value: np.ndarray, type_name: str) -> np.ndarray:
    return value.astype(type_name).astype("float32")


@pytest.mark.parametrize("slot", ["kernel", "lowered", "codegen"])
@pytest.mark.parametrize(("type_name", "site"), THROUGH)
def test_one_operand_or_the_product_passes_through_the_narrow_type(type_name: str, site: str, slot: str):
    a, w = ramp(), ramp(3)
    mutant = f"tir.narrow-cast{{type={type_name}}}"
    computed = run(kernel("T.max(A[i] * W[i], T.float32(-50))"), mutant, a, w, slot=slot, site=site)
    factors = narrow(a, type_name) if site == "0" else a, narrow(w, type_name) if site == "1" else w
    product = factors[0] * factors[1]
    assert_same_bits(computed, np.maximum(narrow(product, type_name) if site == "2" else product, np.float32(-50)))


def test_the_conversions_reach_the_c_source():
    assert "(half)" in built(kernel("A[i] + W[i]"), "tir.narrow-cast", target="c").inspect_source()


@pytest.mark.parametrize("dtype", ["float16", "float64", "int32"])
def test_only_float32_is_narrowed(dtype: str):
    assert not sites(kernel("A[i] * W[i]", dtype), "tir.narrow-cast")

"""Floating-point constants that are changed, and those that no change reaches."""

from __future__ import annotations

import numpy as np
import pytest
from small_kernels import assert_same_bits, kernel, ramp, run, sites

LOWEST = "T.float32(-3.4028234663852886e38)"


@pytest.mark.parametrize("slot", ["kernel", "lowered", "codegen"])
@pytest.mark.parametrize(
    ("change", "constant"), [("increment", 3.5), ("decrement", 1.5), ("negate", -2.5), ("zero", 0.0)]
)
def test_the_kernel_computes_with_the_changed_constant(change: str, constant: float, slot: str):
    mutant = f"tir.perturb-constant{{change={change}}}"
    computed = run(kernel("T.max(A[i], T.float32(2.5))"), mutant, ramp(), ramp(), slot=slot)
    assert_same_bits(computed, np.maximum(ramp(), np.float32(constant)))


@pytest.mark.parametrize(
    ("constant", "changes"),
    [
        ("T.float32(0)", {"increment", "decrement"}),  # zero has no sign worth turning
        ("T.float32(1)", {"increment", "decrement", "negate", "zero"}),
        (LOWEST, {"negate", "zero"}),  # adding one to it does not change it
    ],
)
def test_a_constant_that_would_come_out_the_same_is_no_site(constant: str, changes: set[str]):
    found = {
        change
        for change in ("increment", "decrement", "negate", "zero")
        if sites(kernel(f"T.max(A[i], {constant})"), f"tir.perturb-constant{{change={change}}}")
    }
    assert found == changes


def test_integer_constants_are_no_sites():
    assert not sites(kernel("A[i // 2 + 3] + W[i]"), "tir.perturb-constant")
    assert not sites(kernel("A[i] + 3", "int32"), "tir.perturb-constant")

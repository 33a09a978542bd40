"""Minima and maxima exchanged."""

from __future__ import annotations

import numpy as np
import pytest
from small_kernels import assert_same_bits, built, kernel, ramp, run, sites


@pytest.mark.parametrize("slot", ["kernel", "lowered", "codegen"])
def test_a_clip_gives_the_wrong_end_of_its_range(slot: str):
    script = kernel("T.min(T.max(A[i], T.float32(-1)), T.float32(6))")
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
def test_it_comes_to_what_turning_the_comparison_round_does_and_so_is_not_taken_by_default(
    value: str, mutant: str, other: str
):
    assert_same_bits(run(kernel(value), mutant, ramp(), ramp(3)), run(kernel(value), other, ramp(), ramp(3)))
    assert built(kernel(value), mutant).inspect_source("asm") == built(kernel(value), other).inspect_source("asm")


def test_integers_which_may_be_indices_are_no_sites():
    assert not sites(kernel("A[T.min(i + 1, 15)]"), "tir.swap-extremum{from=min}")
    assert not sites(kernel("T.max(A[i], W[i])", "int32"), "tir.swap-extremum")

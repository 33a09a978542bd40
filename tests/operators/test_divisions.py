"""Integer divisions that round the other way: negative numbers tell, others do not."""

from __future__ import annotations

import numpy as np
import pytest
from small_kernels import assert_same_bits, kernel, run, sites

A = np.arange(-9, 7, dtype="int32")


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_quotients_and_remainders_of_negative_numbers_change(slot: str):
    floored, truncated = kernel("A[i] // 4", "int32"), kernel("T.Div(A[i], 4)", "int32")
    assert_same_bits(run(floored, "tir.swap-division", A, A, slot=slot), np.trunc(A / 4).astype("int32"))
    assert_same_bits(run(truncated, "tir.swap-division{from=truncated}", A, A, slot=slot), A // 4)
    assert_same_bits(run(kernel("A[i] % 4", "int32"), "tir.swap-division", A, A, slot=slot), np.fmod(A, 4))


def test_divisions_of_floats_are_no_sites():
    assert not sites(kernel("A[i] / W[i]"), "tir.swap-division{from=truncated}")

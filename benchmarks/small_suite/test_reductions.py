"""Tests of a matrix product: against NumPy, between two builds, between schedules, and of its code alone."""

import numpy as np
import pytest
from kernels import build, call, matmul, tiled

LEFT, RIGHT = (np.arange(12) % 5).reshape(3, 4), (np.arange(20) % 7).reshape(4, 5)


def test_product_is_that_of_numpy():
    np.testing.assert_allclose(call(build(matmul(3, 4, 5)), (3, 5), LEFT, RIGHT), LEFT @ RIGHT)


@pytest.mark.parametrize("rows", [6])
def test_two_builds_agree(rows: int):
    given = np.arange(rows * 4).reshape(rows, 4) % 3
    first, second = (call(build(matmul(rows, 4, 5)), (rows, 5), given, RIGHT) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_schedule_changes_no_value():
    plain = matmul(8, 4, 5)
    given = np.arange(32).reshape(8, 4) % 3
    values = [call(build(each), (8, 5), given, RIGHT) for each in (plain, tiled(plain, "product", 4))]
    np.testing.assert_array_equal(*values)


def test_product_is_compiled():
    assert "fmul" in build(matmul(7, 4, 5)).inspect_source("ll")

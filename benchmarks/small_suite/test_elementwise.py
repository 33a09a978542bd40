"""Tests of elementwise kernels: one that checks values, one that checks too few, one that checks none."""

import numpy as np
from kernels import build, call, clipped, padded, scale_and_shift


def test_scaling_gives_the_values_of_numpy():
    given = np.random.uniform(-1, 1, 32).astype("float32")
    np.testing.assert_allclose(call(build(scale_and_shift(32)), (32,), given), given * 3 + 0.5, rtol=1e-6)


def test_clipping_is_tried_between_its_bounds_only():
    given = np.linspace(1, 5, 16)
    np.testing.assert_allclose(call(build(clipped(16)), (16,), given), given, rtol=1e-6)


def test_padding_keeps_what_is_inside():
    given = np.random.uniform(-1, 1, 8)
    np.testing.assert_allclose(call(build(padded(8, 2)), (12,), given)[2:10], given, rtol=1e-6)


def test_scaling_runs():
    call(build(scale_and_shift(24)), (24,), np.ones(24))

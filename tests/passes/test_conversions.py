"""Conversions to integers of numbers that fit, and of those that do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_mutate.kernels import build_batch, parse_target
from tvm_mutate.passes import with_marked_conversions

MARK = 85
SCRIPT = """
@T.prim_func(s_tir=True)
def kernel(A: T.Buffer((8,), "{number}"), B: T.Buffer((8,), "{integer}")):
    for i in range(8):
        with T.sblock("block"):
            B[i] = T.Cast("{integer}", A[i])
"""
FITS = {
    "int8": ([-128.5, -128.0, -0.5, 0.0, 3.7, 127.9], [-129.0, 128.0]),
    "uint8": ([-0.9, 0.0, 1.5, 200.0, 254.0, 255.9], [-1.0, 256.0]),
    "int16": ([-32768.5, -32768.0, -1.0, 0.5, 100.0, 32767.5], [-32769.0, 32768.0]),
    "int32": ([-2147483648.0, -5.5, 0.0, 16777217.0, 99.0, 2147483520.0], [-2147483904.0, 2147483648.0]),
}


def marked(number: str, integer: str, folder: Path):
    """The kernel with marks, ready to be called."""
    function = with_marked_conversions(tvm.script.from_source(SCRIPT.format(number=number, integer=integer)))
    assert function is not None
    return build_batch({"kernel": function}, parse_target("llvm"), folder)["kernel"].run


def converted(kernel, values: list[float], number: str, integer: str) -> list[int]:
    result = tvm.runtime.tensor(np.zeros(8, integer))
    kernel(tvm.runtime.tensor(np.array(values, number)), result)
    return result.numpy().tolist()


@pytest.mark.parametrize("integer", sorted(FITS))
def test_a_number_that_fits_is_converted_and_another_is_marked(integer: str, tmp_path: Path):
    fitting, others = FITS[integer]
    found = converted(marked("float32", integer, tmp_path), fitting + others, "float32", integer)
    assert found == [int(np.float32(value)) for value in fitting] + [MARK] * len(others)


def test_nan_and_infinities_are_marked(tmp_path: Path):
    values = [float("nan"), float("inf"), float("-inf"), 1.0, 2.0, 3.0, 4.0, 5.0]
    assert converted(marked("float32", "int32", tmp_path), values, "float32", "int32") == [MARK] * 3 + [1, 2, 3, 4, 5]


@pytest.fixture(scope="module")
def from_double(tmp_path_factory: pytest.TempPathFactory):
    return marked("float64", "int32", tmp_path_factory.mktemp("double"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(width=64), min_size=8, max_size=8))
def test_any_number_is_converted_as_python_does_or_marked(from_double, values: list[float]):
    expected = [int(value) if -(2**31) - 1 < value < 2**31 else MARK for value in values]
    assert converted(from_double, values, "float64", "int32") == expected


def test_a_kernel_without_a_conversion_to_an_integer_gives_none():
    for number, integer in (("int32", "int8"), ("float32", "float16"), ("int32", "float32")):
        assert with_marked_conversions(tvm.script.from_source(SCRIPT.format(number=number, integer=integer))) is None

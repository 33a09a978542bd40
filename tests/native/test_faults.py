"""What mutated kernels call at run time: bits flipped at one execution, and arithmetic rounded toward zero."""

from __future__ import annotations

import ctypes
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import Kernel, build_batch, parse_target
from tvm_mutate.native import native_library
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, apply_mutations

CATALOGUE = builtin_catalogue()
FLOATS = st.floats(width=32, allow_nan=False)
SUMS = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 8), "float32"), B: T.Buffer((4,), "float32")):
    for i, k in T.grid(4, 8):
        with T.sblock("sum"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = B[vi] + A[vi, vk]
"""


@pytest.fixture(scope="module")
def runtime() -> ctypes.CDLL:
    library = native_library()
    if not library:
        pytest.skip(str(library.obstacle))
    return ctypes.CDLL(str(library.path))


def bits(value: float) -> int:
    return int(np.float32(value).view(np.int32))


def as_float(value: int) -> float:
    return float(np.int32(value).view(np.float32))


def cut_off(exact: Fraction, precision: int) -> float:
    """The number of so many bits that is nearest to an exact one, and not further from zero."""
    if not exact:
        return 0.0
    exponent = math.frexp(float(abs(exact)) or 2.0**-200)[1]
    while Fraction(2) ** exponent <= abs(exact):
        exponent += 1
    while Fraction(2) ** (exponent - 1) > abs(exact):
        exponent -= 1
    step = Fraction(2) ** max(exponent - precision, -149 + 24 - precision)
    largest = Fraction(2) ** 128 - Fraction(2) ** (128 - precision)
    return float(math.copysign(1, exact) * min(abs(exact) // step * step, largest))


OPERATIONS = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
}


@pytest.mark.parametrize("name", OPERATIONS)
@given(a=FLOATS.filter(math.isfinite), b=FLOATS.filter(lambda b: math.isfinite(b) and b != 0), precision=st.just(24))
def test_arithmetic_toward_zero_is_the_exact_result_cut_off(runtime: ctypes.CDLL, name, a, b, precision):
    found = as_float(getattr(runtime, f"tvm_mutate_{name}_toward_zero")(bits(a), bits(b), precision))
    assert found == cut_off(OPERATIONS[name](Fraction(a), Fraction(b)), precision)


@pytest.mark.parametrize("precision", [8, 11, 23])
@given(a=st.floats(2.0**-30, 2.0**30, width=32), b=st.floats(-(2.0**30), -(2.0**-30), width=32))
def test_fewer_bits_remain_of_the_exact_product(runtime: ctypes.CDLL, precision, a, b):
    found = as_float(runtime.tvm_mutate_multiply_toward_zero(bits(a), bits(b), precision))
    assert found == cut_off(Fraction(a) * Fraction(b), precision)


def test_infinities_and_nan_stay_what_they_are(runtime: ctypes.CDLL):
    add = runtime.tvm_mutate_add_toward_zero
    assert as_float(add(bits(math.inf), bits(1.0), 24)) == math.inf
    assert math.isnan(as_float(add(bits(math.inf), bits(-math.inf), 24)))
    assert math.isnan(as_float(add(bits(math.nan), bits(1.0), 8)))


def built(mutant: str, target: str, folder: Path) -> Kernel:
    selections = [Selection.resolve(mutation, CATALOGUE) for mutation in CATALOGUE.parse(mutant).mutations]
    module = tvm.IRModule({"main": tvm.script.from_source(SUMS)})
    mutated, _ = apply_mutations(module, selections)
    return build_batch({"main": mutated["main"]}, parse_target(target), folder)["main"]


def sums(kernel: Kernel, data: np.ndarray) -> np.ndarray:
    result = tvm.runtime.tensor(np.full(4, 7, "float32"))
    kernel.run(tvm.runtime.tensor(data), result)
    return result.numpy()


@pytest.mark.parametrize("target", ["llvm", "c"])
def test_a_bit_is_flipped_at_one_execution_of_each_call(runtime: ctypes.CDLL, tmp_path: Path, target: str):
    data = np.ones((4, 8), "float32")
    kernel = built("tir.flip-bit-once{bit=31,execution=11}@main#1", target, tmp_path)
    for _ in range(2):  # counted anew in each call
        assert sums(kernel, data).tolist() == [8, 2, 8, 8]  # 1 + 1 + 1 became -3, and then five more


@pytest.mark.parametrize("target", ["llvm", "c"])
def test_a_stored_constant_is_flipped_too(runtime: ctypes.CDLL, tmp_path: Path, target: str):
    kernel = built("tir.flip-bit-once{bit=30,execution=2}@main#0", target, tmp_path)
    assert sums(kernel, np.ones((4, 8), "float32")).tolist() == [8, 10, 8, 8]  # 0 with bit 30 is 2


@pytest.mark.parametrize("target", ["llvm", "c"])
def test_sums_are_rounded_toward_zero(runtime: ctypes.CDLL, tmp_path: Path, target: str):
    data = np.full((4, 8), 2.0**-24 * 1.75, "float32")
    data[:, 0] = [1, 2, 4, 0.5]
    expected = [1, 2, 4, 0.5 + 7 * 2.0**-24]  # to the nearest 1 grows, and 0.5 twice as much
    assert sums(built("tir.round-toward-zero@main#0", target, tmp_path), data).tolist() == expected


def test_a_target_that_has_no_runtime_is_refused_in_one_sentence(tmp_path: Path):
    with pytest.raises(UsageError, match="kernels for opencl cannot call the run-time support"):
        built("tir.round-toward-zero@main#0", "opencl", tmp_path)

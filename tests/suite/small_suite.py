"""Small tests that notice the faults of kernels in different ways; each kernel has a different size."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import numpy as np
import tvm
from tvm import te, tirx
from tvm.ir import prim

from tvm_mutate.results import TestOutcome
from tvm_mutate.suite import SuiteTest


def kernel(size: int, constant: float = 2.0) -> tirx.PrimFunc:
    """Adds a constant to each of ``size`` float32 values."""
    given = te.placeholder((size,), "float32", name="given")
    added = te.compute((size,), lambda i: prim.Add(given[i], prim.const(constant, "float32")), name="added")
    return te.create_prim_func([given, added])


def build(size: int, constant: float = 2.0, target: str = "llvm") -> tvm.runtime.Module:
    return tvm.tirx.build(tvm.IRModule({"main": kernel(size, constant)}), target)


def call(library: tvm.runtime.Module, size: int) -> np.ndarray:
    """The output of the kernel for 1, 2, ..."""
    given = tvm.runtime.tensor(_given(size))
    left = tvm.runtime.tensor(np.zeros(size, dtype="float32"))
    library["main"](given, left)
    return left.numpy()


def _given(size: int) -> np.ndarray:
    return np.arange(1, size + 1, dtype="float32")


def is_right(size: int, constant: float = 2.0) -> bool:
    return bool(np.allclose(call(build(size, constant), size), _given(size) + constant))


def asserts() -> None:
    assert is_right(4)


def raises() -> None:
    if not is_right(5):
        raise RuntimeError("wrong")


def crashes_on_fault() -> None:
    if not is_right(6):
        os.kill(os.getpid(), signal.SIGSEGV)


def hangs_on_fault() -> None:
    right = is_right(7)
    while not right:
        pass


def exits_on_fault() -> None:
    if not is_right(8):
        os._exit(0)


def compares_two_builds() -> None:
    """The same fault in both builds cancels out."""
    np.testing.assert_array_equal(call(build(9), 9), call(build(9), 9))


def runs_and_notices_nothing() -> None:
    call(build(10), 10)


def allows_much() -> None:
    """Values that are not far from the right ones pass; the values that the memory held before do not."""
    np.testing.assert_allclose(call(build(15, 0.1), 15), _given(15) + 0.1, atol=0.5)


def builds_and_runs_nothing() -> None:
    build(11)


def always_fails() -> None:
    build(12)
    raise AssertionError("as always")


def adds_nothing() -> None:
    """The constant is so small that plus and minus give equal values."""
    assert is_right(13, 1e-30)


def forks_and_returns() -> None:
    """The child returns from the test, too, and would continue like its parent."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        assert is_right(14)


def builds_nothing() -> None:
    pass


def suite_test(function: Callable[[], None], source: str = "unchanged") -> SuiteTest:
    """A function as a test of a suite; the test fails if the function raises an exception."""

    def run() -> tuple[TestOutcome, str]:
        try:
            function()
        except AssertionError as error:
            return TestOutcome.ASSERTION, str(error)
        except Exception as error:
            return TestOutcome.EXCEPTION, str(error)
        return TestOutcome.PASSED, ""

    return SuiteTest(f"small.py::{function.__name__}", "small.py", source, run)

"""A suite with tests that end in every way; a fixture copies this file to a name that pytest collects."""

import os
import signal

import numpy as np
import pytest
import tvm
from tvm import te


def build(size):
    given = te.placeholder((size,), "float32")
    doubled = te.compute((size,), lambda i: given[i] * 2.0)
    return tvm.tirx.build(te.create_prim_func([given, doubled]), "llvm")


def call(library, size):
    given = tvm.runtime.tensor(np.arange(size, dtype="float32"))
    left = tvm.runtime.tensor(np.zeros(size, dtype="float32"))
    library["main"](given, left)
    return left.numpy()


@pytest.fixture(scope="module")
def library():
    return build(4)


@pytest.mark.parametrize("number", [0, 3])
def test_good(library, number):
    assert call(library, 4)[number] == 2 * number


def test_raises_what_pytest_expects(library):
    with pytest.raises(ZeroDivisionError):
        1 / int(call(library, 4)[0])


def test_notices_nothing():
    call(build(5), 5)


def test_fails():
    assert build(6) is None


def test_exits():
    os._exit(0)


def test_crashes():
    os.kill(os.getpid(), signal.SIGSEGV)


def test_hangs():
    while True:
        pass


def test_is_skipped():
    pytest.skip("not here")


@pytest.mark.xfail(reason="known")
def test_is_expected_to_fail():
    raise ValueError


class TestForking:
    def test_child_returns(self):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            assert call(build(7), 7)[6] == 12

    def test_child_runs_the_kernel(self):
        library = build(8)
        child = os.fork()
        if not child:
            call(library, 8)
            os._exit(0)
        os.waitpid(child, 0)

"""Functions called in a forked child."""

from __future__ import annotations

import os

import pytest

from tvm_mutate.forked import call_in_child


def test_the_result_comes_back_and_what_the_function_changes_stays_in_the_child():
    kept: list[int] = []

    def change() -> int:
        kept.append(os.getpid())
        return kept[0]

    assert call_in_child(change) != os.getpid()
    assert kept == []


def test_an_exception_of_the_function_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        call_in_child(lambda: 1 // 0)


def test_a_child_that_dies_is_an_error():
    with pytest.raises(ChildProcessError, match="died"):
        call_in_child(lambda: os._exit(3))

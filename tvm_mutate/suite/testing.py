"""A run of one test of a suite, in a forked child."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_mutate.device import EndingKind, run_isolated
from tvm_mutate.results import TestOutcome

_M_PERTURB, _FILL = -6, 0xAB  # the option of mallopt, in the GNU C library, that MALLOC_PERTURB_ sets from outside
_OUTCOMES = {
    EndingKind.RAISED: TestOutcome.EXCEPTION,
    EndingKind.DIED: TestOutcome.CRASH,
    EndingKind.TIMED_OUT: TestOutcome.TIMEOUT,
}


@dataclass(frozen=True)
class SuiteTest:
    """A test: its name, its file, the digest of the file, and the function that runs the test in this process.

    The function returns the outcome and, for a test that fails, the reason in one line.
    """

    name: str
    file: str
    source: str
    run: Callable[[], tuple[TestOutcome, str]]


@dataclass(frozen=True)
class TestRun:
    """How a test ended in a forked child, in how many seconds of wall-clock time, and what the child noted."""

    __test__ = False  # pytest must not take this class for a test

    outcome: TestOutcome
    reason: str
    seconds: float
    noted: Any = None


def run_test(
    test: SuiteTest,
    seconds: float,
    around: Callable[[], AbstractContextManager[Callable[[], Any]]],
    *,
    filled: bool = True,
) -> TestRun:
    """Runs a test in a forked child with a limit of time (see :func:`tvm_mutate.device.run_isolated`).

    In the child the test runs within ``around()``, which gives a function that returns what the child notes. The
    random numbers of Python and NumPy begin with the same seed each time. With ``filled``, memory that was never
    written holds a pattern, so that such memory is not zero by chance.
    """

    def task(_stage: object) -> tuple[TestOutcome, str, Any]:
        child = os.getpid()
        random.seed(0)
        np.random.seed(0)
        if filled:
            _fill_memory()
        try:
            with around() as noted:
                outcome, reason = test.run()
                return outcome, reason, noted() if os.getpid() == child else None
        finally:
            if os.getpid() != child:  # a process that the test forked returned from the test function
                os._exit(0)

    ending = run_isolated(task, seconds)
    if ending.kind is EndingKind.FINISHED:
        outcome, reason, noted = ending.value
        return TestRun(outcome, reason, ending.seconds, noted)
    return TestRun(_OUTCOMES[ending.kind], ending.reason, ending.seconds)


def _fill_memory() -> None:
    """Makes the C library fill allocated and freed memory from now on; does nothing if the library is not GNU's."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_PERTURB, _FILL)

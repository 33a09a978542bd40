"""Tests as the suite's runner sees them, and how a run of one ended."""

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

from tvm_mutate.device import Ending, EndingKind, run_isolated
from tvm_mutate.results import TestOutcome

_M_PERTURB, _FILL = -6, 0xAB  # mallopt of the GNU C library: what MALLOC_PERTURB_ sets from outside


@dataclass(frozen=True)
class Outcome:
    """How a test ended, and why in one line where it did not pass."""

    kind: TestOutcome
    reason: str = ""


@dataclass(frozen=True)
class SuiteTest:
    """A test: its name, its file, a digest of that file, and what runs it in this process."""

    name: str
    file: str
    source: str
    run: Callable[[], Outcome]


@dataclass(frozen=True)
class TestRun:
    """A run of a test in a forked child: its outcome, its seconds of wall-clock time, and what was noted meanwhile."""

    __test__ = False  # it is no test of pytest's

    outcome: Outcome
    seconds: float
    noted: Any = None


def run_test(
    test: SuiteTest,
    seconds: float,
    around: Callable[[], AbstractContextManager[Callable[[], Any]]],
    *,
    filled: bool = True,
) -> TestRun:
    """One run of a test in a forked child with a limit of time (see :func:`tvm_mutate.device.run_isolated`).

    In the child the test runs within ``around()``, which gives a function to take along what was noted. There the
    random numbers of Python and NumPy begin alike every time, and with ``filled`` memory that was never written is
    filled with a pattern, so that it is not zero by chance.
    """

    def task(_stage: object) -> tuple[Outcome, Any]:
        child = os.getpid()
        random.seed(0)
        np.random.seed(0)
        if filled:
            _fill_memory()
        try:
            with around() as noted:
                outcome = test.run()
                return outcome, noted() if os.getpid() == child else None
        finally:
            if os.getpid() != child:  # a process that the test forked came back from it: the test is not its own
                os._exit(0)

    ending = run_isolated(task, seconds)
    if ending.kind == EndingKind.FINISHED:
        outcome, noted = ending.value
        return TestRun(outcome, ending.seconds, noted)
    return TestRun(_broken_off(ending), ending.seconds)


def _broken_off(ending: Ending) -> Outcome:
    kinds = {
        EndingKind.RAISED: TestOutcome.EXCEPTION,
        EndingKind.DIED: TestOutcome.CRASH,
        EndingKind.TIMED_OUT: TestOutcome.TIMEOUT,
    }
    return Outcome(kinds[ending.kind], ending.reason)


def _fill_memory() -> None:
    """Fills what is allocated and freed from now on; nothing is done where the C library cannot (it is not GNU's)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_PERTURB, _FILL)

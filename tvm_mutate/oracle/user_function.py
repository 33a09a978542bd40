"""An oracle that the user writes: a Python function of golden and mutated outputs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tvm_mutate.errors import OracleError, UsageError
from tvm_mutate.oracle.oracle import Finding, Oracle
from tvm_mutate.python_file import function_reference, load_function
from tvm_mutate.samples import Sample

_MOST_SECONDS = 60.0


@dataclass(frozen=True)
class UserFunction(Oracle):
    """Notices what the function ``FILE.py:FUNCTION`` notices.

    The function gets the golden and the mutant's outputs of one sample, each a tuple of arrays, and returns whether
    the mutant is noticed, or that and a number. It has 60 seconds. Its text is the reference. The file runs at once, in
    each process anew. Raises UsageError for a file that cannot run, and OracleError in ``examine`` for a function that
    raises, takes longer or returns anything else.
    """

    name: ClassVar[str] = "FILE.py:FUNCTION"

    reference: str

    def __post_init__(self) -> None:
        _ = self._function

    def __str__(self) -> str:
        return self.reference

    def __reduce__(self) -> tuple[type[UserFunction], tuple[str]]:
        return UserFunction, (self.reference,)  # another process loads the function itself

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """What the function returns; the number is 1.0 or 0.0 if it returns none."""
        process = os.getpid()
        try:
            with _time_limit():
                found = self._function(golden, mutant)
        except UsageError as error:
            raise OracleError(str(error)) from None
        finally:
            if os.getpid() != process:  # a copy that the function forked must not answer for its process
                os._exit(0)
        is_noticed, number = found if isinstance(found, tuple) and len(found) == 2 else (found, found)
        if not isinstance(is_noticed, bool | np.bool_) or not isinstance(
            number, bool | int | float | np.number | np.bool_
        ):
            raise OracleError(f"{self}: returned {found!r:.100}; it must return a bool, or a bool and a number")
        try:
            return Finding(bool(is_noticed), float(number))
        except OverflowError:
            raise OracleError(f"{self}: returned a number that is too large; it must fit into a float") from None

    @cached_property
    def _function(self) -> Callable[..., Any]:
        return load_function(*function_reference(self.reference))


@contextlib.contextmanager
def _time_limit() -> Iterator[None]:
    """Raises TimeoutError in a block that takes too long; only the main thread can be interrupted."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"it took more than {_MOST_SECONDS:g} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, _MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)

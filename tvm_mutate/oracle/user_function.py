"""An oracle that the user writes: a Python function of golden and mutated outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tvm_mutate.errors import UsageError
from tvm_mutate.oracle.oracle import Finding, Oracle
from tvm_mutate.python_file import function_reference, load_function
from tvm_mutate.samples import Sample


@dataclass(frozen=True)
class UserFunction(Oracle):
    """Notices what the function ``FILE.py:FUNCTION`` notices.

    The function gets the golden and the mutant's outputs of one sample, each a tuple of arrays, and returns whether
    the mutant is noticed, or that and a number. Its text is the reference. The file runs at once, in each process
    anew. Raises UsageError for a file that cannot run, and in ``examine`` for a function that raises or returns
    anything else.
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
        found = self._function(golden, mutant)
        is_noticed, number = found if isinstance(found, tuple) and len(found) == 2 else (found, found)
        if not isinstance(is_noticed, bool | np.bool_) or not isinstance(
            number, bool | int | float | np.number | np.bool_
        ):
            raise UsageError(f"{self}: returned {found!r:.100}; it must return a bool, or a bool and a number")
        try:
            return Finding(bool(is_noticed), float(number))
        except OverflowError:
            raise UsageError(f"{self}: returned a number that is too large; it must fit into a float") from None

    @cached_property
    def _function(self) -> Callable[..., Any]:
        return load_function(*function_reference(self.reference))

"""What an oracle is."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike

from tvm_mutate.oracle.outputs import output_pair, same_bits


class Oracle(Protocol):
    """A rule for what counts as noticed, on one input at a time.

    An oracle is a frozen dataclass below this class. Its fields, of type int or float and all with a default,
    are its parameters, and ``str`` writes them out: ``tolerance{rtol=1e-05,atol=1e-06}``. A field that has no
    sensible value raises UsageError in ``__post_init__``.
    """

    name: ClassVar[str]

    def noticed(self, golden_row: np.ndarray, mutant_row: np.ndarray) -> bool:
        """Whether the mutant's output ``[classes]`` for one input is noticeably not the golden one.

        An output with the golden bits is never noticed, and need not be shown to the oracle.
        """
        ...

    def __str__(self) -> str:
        fields: tuple[Any, ...] = dataclasses.fields(self)  # type: ignore[arg-type]
        parameters = ",".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields)
        return f"{self.name}{{{parameters}}}" if parameters else self.name


def is_noticed(oracle: Oracle, golden: ArrayLike, mutant: ArrayLike) -> tuple[int, ...]:
    """The indices of the inputs on which the oracle notices the mutant, in rising order.

    Both outputs are ``[inputs, classes]``. Raises ValueError unless they have one shape and dtype.
    """
    golden_rows, mutant_rows = output_pair(golden, mutant)
    differing = np.flatnonzero(~same_bits(golden_rows, mutant_rows))
    return tuple(int(i) for i in differing if oracle.noticed(golden_rows[i], mutant_rows[i]))

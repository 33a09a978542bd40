"""An oracle: a rule for what counts as noticed in the outputs of one sample."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple, Protocol

from tvm_mutate.errors import UsageError
from tvm_mutate.samples import Sample


class Finding(NamedTuple):
    """What an oracle finds in the outputs of one sample: whether it notices the mutant, and the number it measured."""

    is_noticed: bool
    number: float


class Oracle(Protocol):
    """A rule for what counts as noticed, on one sample at a time.

    An oracle is a frozen dataclass that derives from this class. Its fields are its parameters: int or float, all
    with a default. ``str`` writes out those that are not None: ``tolerance{rtol=1e-05,atol=1e-06}``. ``__post_init__``
    raises UsageError for a parameter out of range.
    """

    name: ClassVar[str]

    def examine(self, golden: Sample, mutant: Sample) -> Finding:
        """What the oracle finds in the mutant's outputs of one sample, which have the golden shapes and dtypes.

        Outputs with the golden bits are never noticed; callers may skip the call.
        """
        ...

    def __str__(self) -> str:
        values: dict[str, Any] = dataclasses.asdict(self)  # type: ignore[call-overload]
        parameters = ",".join(f"{name}={value!r}" for name, value in values.items() if value is not None)
        return f"{self.name}{{{parameters}}}" if parameters else self.name

    def _check(self, parameter: str, is_right: bool, wanted: str) -> None:
        """Raises UsageError, which says what is ``wanted``, for a parameter out of range."""
        if not is_right:
            raise UsageError(f"{self.name}: {parameter}={getattr(self, parameter)!r} must be {wanted}")

"""Parameters of operators: their text form, type, default and allowed values."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_mutate.errors import UsageError, suggestion

Value = str | int | float | bool


@dataclass(frozen=True)
class Magnitude:
    """How large a fault a parameter makes: sizes from ``least`` to ``most``, each above 0.

    A size is the distance of the parameter from ``neutral``, where there is no fault; of a ``factor``, whose neutral
    value is 1, it is what the larger of the factor and its reciprocal is above 1. ``logarithmic`` sizes are looked at
    in steps of equal ratio, others in whole numbers.
    """

    least: float
    most: float
    logarithmic: bool = False
    factor: bool = False
    neutral: float = 0.0

    def value(self, size: float, upwards: bool) -> float:
        """The parameter's value for a size, above or below the neutral one."""
        if self.factor:
            return 1 + size if upwards else 1 / (1 + size)
        return self.neutral + size if upwards else self.neutral - size

    def is_upwards(self, value: float) -> bool | None:
        """Whether a value is above the neutral one; None where it is that, or where no size has such a value."""
        neutral = 1.0 if self.factor else self.neutral
        if value == neutral or (self.factor and value <= 0):
            return None
        return value > neutral


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operator; without a default it has to be given.

    ``default`` also fixes the type, unless ``kind`` names it. ``choices`` are the allowed values of a text
    parameter. ``magnitude`` says which sizes a parameter has that makes the fault larger or smaller.
    """

    name: str
    description: str
    default: Value | None = None
    choices: tuple[str, ...] = ()
    kind: type = str
    magnitude: Magnitude | None = None

    def __post_init__(self) -> None:
        if self.default is not None:
            object.__setattr__(self, "kind", type(self.default))

    def read(self, text: str, operator: str) -> Value:
        """The typed value of ``text``; raises UsageError that names the operator and what would be right."""
        if self.kind is bool:
            if text not in ("true", "false"):
                raise UsageError(f"{operator}: {self.name}={text!r} is neither true nor false")
            return text == "true"
        if self.choices and text not in self.choices:
            raise UsageError(f"{operator}: {self.name}={text!r} is not known{suggestion(text, self.choices)}")
        try:
            return self.kind(text)
        except ValueError:
            raise UsageError(f"{operator}: {self.name}={text!r} is not a {self.kind.__name__}") from None

    @staticmethod
    def write(value: Value) -> str:
        """The text form of a value, which :meth:`read` takes back."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return repr(value) if isinstance(value, float) else str(value)

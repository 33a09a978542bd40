"""Parameters of operators: their text form, type, default and allowed values."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_mutate.errors import UsageError, suggestion

Value = str | int | float | bool


@dataclass(frozen=True)
class Parameter:
    """One parameter of an operator; without a default it has to be given.

    ``default`` also fixes the type, unless ``kind`` names it. ``choices`` are the allowed values of a text
    parameter.
    """

    name: str
    description: str
    default: Value | None = None
    choices: tuple[str, ...] = ()
    kind: type = str

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

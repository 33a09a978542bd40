"""The fixed words of the oracle: rungs, outcomes, verdicts and behaviours."""

from __future__ import annotations

import enum


class Rung(str, enum.Enum):
    """How far a fault got; later rungs are greater."""

    APPLIED = "applied"
    COMPILED = "compiled"
    CODE_DIFFERS = "code differs"
    REACHED = "reached"
    INFECTED = "infected"
    PROPAGATED = "propagated"
    LABEL_CHANGED = "label changed"

    def __str__(self) -> str:
        return self.value

    def __format__(self, specification: str) -> str:
        return format(self.value, specification)

    def __lt__(self, other: str) -> bool:
        return _rank(self) < _rank(Rung(other))

    def __gt__(self, other: str) -> bool:
        return _rank(self) > _rank(Rung(other))

    def __le__(self, other: str) -> bool:
        return not self > other

    def __ge__(self, other: str) -> bool:
        return not self < other


def _rank(rung: Rung) -> int:
    return list(Rung).index(rung)


class Outcome(str, enum.Enum):
    """How the evaluation of a mutant ended; the verdict on the mutant is another thing."""

    COMPLETED = "completed"
    COMPILE_ERROR = "compile error"
    EXCEPTION = "exception"  # raised at run time by the mutated program
    CRASH = "crash"
    TIMEOUT = "timeout"
    DEVICE_LOST = "device lost"

    def __str__(self) -> str:
        return self.value

    def __format__(self, specification: str) -> str:
        return format(self.value, specification)


class Verdict(str, enum.Enum):
    """What a campaign says of a mutant; a mutant that says nothing of the oracle has no verdict (None)."""

    KILLED = "killed"
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"
    NO_COVERAGE = "no coverage"

    def __str__(self) -> str:
        return self.value

    def __format__(self, specification: str) -> str:
        return format(self.value, specification)


class Behaviour(str, enum.Enum):
    """Whether a mutant accesses memory outside its buffers."""

    DEFINED = "defined"
    UNDEFINED = "undefined"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value

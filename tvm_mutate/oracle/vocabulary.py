"""The fixed words of the oracle floor: rungs, outcomes and verdicts."""

from __future__ import annotations

import enum


class Rung(enum.IntEnum):
    """How far a fault got, in order; its text is for example ``code differs``."""

    APPLIED = 0
    COMPILED = 1
    CODE_DIFFERS = 2
    REACHED = 3
    INFECTED = 4
    PROPAGATED = 5
    LABEL_CHANGED = 6

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")

    def __format__(self, specification: str) -> str:
        return format(str(self), specification)

    @classmethod
    def parse(cls, text: str) -> Rung:
        """The rung with this text; raises ValueError for any other."""
        for rung in cls:
            if str(rung) == text:
                return rung
        raise ValueError(f"{text!r} is not a rung; rungs are {', '.join(map(str, cls))}")


class Outcome(str, enum.Enum):
    """How the evaluation of a mutant itself ended, which is not yet a verdict."""

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

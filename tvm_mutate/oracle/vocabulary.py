"""The fixed words of the oracle: rungs, outcomes, verdicts and behaviours."""

from __future__ import annotations

from tvm_mutate.text_enum import TextEnum


class Rung(TextEnum):
    """How far a fault got; later rungs are greater."""

    APPLIED = "applied"
    COMPILED = "compiled"
    CODE_DIFFERS = "code differs"
    REACHED = "reached"
    INFECTED = "infected"
    PROPAGATED = "propagated"
    LABEL_CHANGED = "label changed"

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


class Outcome(TextEnum):
    """How the evaluation of a mutant ended; the verdict on the mutant is separate."""

    COMPLETED = "completed"
    COMPILE_ERROR = "compile error"
    EXCEPTION = "exception"  # raised at run time by the mutated program
    CRASH = "crash"
    TIMEOUT = "timeout"
    DEVICE_LOST = "device lost"


class Verdict(TextEnum):
    """The conclusion of a campaign on a mutant; None for a mutant that did not test the oracle."""

    KILLED = "killed"
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"
    NO_COVERAGE = "no coverage"


class Behaviour(TextEnum):
    """Whether a mutant accesses memory outside its buffers."""

    DEFINED = "defined"
    UNDEFINED = "undefined"
    UNKNOWN = "unknown"

"""A scenario: the calls of a program's functions in order, where outputs of earlier calls are inputs of later calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ENTRY = "main"


@dataclass(frozen=True)
class Call:
    """A call of a function, ``repeat`` times one after another.

    ``outputs`` are names for the results, in order. A parameter takes the latest value with the name that ``feeds``
    gives the parameter, else the latest value with the name of the parameter itself; without such a value the parameter
    is an input from outside. A parameter or result that is a tuple counts as its tensors, ``name.0`` and so on.
    """

    function: str
    outputs: tuple[str, ...] = ()
    feeds: Mapping[str, str] = field(default_factory=dict)
    repeat: int = 1


@dataclass(frozen=True)
class Scenario:
    """Calls in order. ``returns`` are the names of the outputs of the scenario, of every call that has such a result.

    Without ``returns`` every result is an output that no later call takes.
    """

    calls: tuple[Call, ...] = (Call(ENTRY),)
    returns: tuple[str, ...] = ()

"""Mutations, mutants and their ids as text; parsing and printing round-trip.

The grammar is ``operator{parameter=value,...}@function#sites``, several joined by ``+``. The function may be
a glob; sites are ``*`` (all at once), ``3``, or ``2-5``. This module does not know the catalogue of operators.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tvm_mutate.errors import UsageError, quoted

_MUTATION = re.compile(
    r"(?P<operator>[A-Za-z0-9_.-]+)"
    r"(?:\{(?P<parameters>[^{}]*)\})?"
    r"@(?P<function>[A-Za-z0-9_.*?\[\]!-]+)"
    r"#(?P<sites>\*|\d{1,18}-\d{1,18}|\d{1,18})"
)
_PARAMETER = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_-]*)=(?P<value>[^\s,{}=]+)")
# Functions that TVM adds to models of symbolic shapes (src/relax/backend/vm/vm_shape_lower.cc): a fault in them mostly
# ends in a crash and says nothing of kernels, so a mutant has to name them.
_COMPUTES_SHAPES = re.compile(r"shape_func\d*")
_GRAMMAR = "operator{parameter=value,...}@function#sites, for example tir.swap-compare{from=lt,to=le}@main#3"


@dataclass(frozen=True, order=True)
class Sites:
    """The selected sites of a function: a range of ordinals, or all sites if ``last`` is None."""

    first: int = 0
    last: int | None = None

    @property
    def all(self) -> bool:
        """Whether every site of the function is selected."""
        return self.last is None

    def __contains__(self, ordinal: int) -> bool:
        return self.last is None or self.first <= ordinal <= self.last

    def __str__(self) -> str:
        if self.last is None:
            return "*"
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    @classmethod
    def parse(cls, text: str) -> Sites:
        """Sites from ``*``, ``3`` or ``2-5``; raises UsageError for a range that runs backwards."""
        if text == "*":
            return cls()
        first, _, last = text.partition("-")
        sites = cls(int(first), int(last or first))
        if sites.last is not None and sites.last < sites.first:
            raise UsageError(f"sites {quoted(text)} run backwards; write the smaller ordinal first")
        return sites


@dataclass(frozen=True, order=True)
class Mutation:
    """An operator with parameters, at some sites of the functions that a glob matches.

    Parameters are text, sorted by name, so that equal mutations print alike.
    """

    operator: str
    parameters: tuple[tuple[str, str], ...] = ()
    function: str = "*"
    sites: Sites = Sites()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", tuple(sorted(self.parameters)))

    def matches(self, function: str) -> bool:
        """Whether the mutation is for the function of this name; ``*`` leaves out those that compute shapes."""
        if self.function == "*":
            return not _COMPUTES_SHAPES.fullmatch(function)
        return fnmatch.fnmatchcase(function, self.function)

    def at(self, function: str, sites: Sites) -> Mutation:
        """The same operator and parameters at other sites."""
        return Mutation(self.operator, self.parameters, function, sites)

    def why_not_there(self, names: Sequence[str], counts: Mapping[str, int]) -> str | None:
        """Why the mutation has no site, as a sentence; None if it has one.

        ``names`` are all functions in its slot, ``counts`` the number of the operator's sites in those that it matches.
        """
        if not any(self.matches(name) for name in names):
            shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
            known = f"; there are {shown}" if names else " there"
            return f"mutant {self}: no function is named {quoted(self.function)}{known}"
        most = max(counts.values(), default=0)
        if not most:
            return f"mutant {self}: {self.operator} has no site in {quoted(self.function)}"
        if not any(ordinal in self.sites for ordinal in range(most)):
            return f"mutant {self}: there is no site #{self.sites}; the last one is #{most - 1}"
        return None

    def __str__(self) -> str:
        inside = ",".join(f"{name}={value}" for name, value in self.parameters)
        return f"{self.operator}{'{' + inside + '}' if inside else ''}@{self.function}#{self.sites}"


@dataclass(frozen=True, order=True)
class Mutant:
    """One mutation or more (a higher-order mutant); its id is ``str(mutant)``."""

    mutations: tuple[Mutation, ...]

    def __str__(self) -> str:
        return "+".join(str(mutation) for mutation in self.mutations)

    @classmethod
    def parse(cls, text: str) -> Mutant:
        """The mutant with this id; raises UsageError that quotes the part with the wrong grammar."""
        mutations = []
        position = 0
        while True:
            match = _MUTATION.match(text, position)
            if match is None:
                raise UsageError(
                    f"mutant id {quoted(text)} does not parse at {quoted(text[position:])}; write {_GRAMMAR}"
                )
            mutations.append(_mutation(match, text))
            position = match.end()
            if position == len(text):
                return cls(tuple(mutations))
            if text[position] != "+":
                raise UsageError(
                    f"mutant id {quoted(text)} does not parse at {quoted(text[position:])}; join mutations by '+'"
                )
            position += 1


def _mutation(match: re.Match[str], text: str) -> Mutation:
    parameters: dict[str, str] = {}
    for item in filter(None, (match["parameters"] or "").split(",")):
        pair = _PARAMETER.fullmatch(item)
        if pair is None:
            raise UsageError(f"mutant id {quoted(text)}: {quoted(item)} is not a parameter; write name=value")
        if pair["name"] in parameters:
            raise UsageError(f"mutant id {quoted(text)} gives the parameter {quoted(pair['name'])} twice")
        parameters[pair["name"]] = pair["value"]
    return Mutation(match["operator"], tuple(parameters.items()), match["function"], Sites.parse(match["sites"]))

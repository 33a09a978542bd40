"""The catalogue: the operators that exist, by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.mutant.identifier import Mutant, Mutation
from tvm_mutate.mutant.operator import Operator
from tvm_mutate.mutant.parameter import Parameter


class Catalogue(Mapping[str, Operator]):
    """An immutable mapping from operator names to operators.

    Raises ValueError for two operators of one name, and for an operator without examples: the examples are
    its tests.
    """

    def __init__(self, operators: Iterable[Operator]) -> None:
        self._operators: dict[str, Operator] = {}
        for operator in operators:
            if operator.name in self._operators:
                raise ValueError(f"two operators are named {operator.name!r}")
            if not operator.examples:
                raise ValueError(f"operator {operator.name!r} has no example; its examples are its tests")
            self._operators[operator.name] = operator

    def __getitem__(self, name: str) -> Operator:
        if name not in self._operators:
            raise UsageError(f"there is no operator {name!r}{suggestion(name, self._operators)}")
        return self._operators[name]

    def __contains__(self, name: object) -> bool:
        return name in self._operators

    def __iter__(self) -> Iterator[str]:
        return iter(self._operators)

    def __len__(self) -> int:
        return len(self._operators)

    def select(self, globs: Iterable[str]) -> list[Operator]:
        """The operators whose names match any of the globs, in catalogue order; a glob without a match is an error."""
        chosen: dict[str, Operator] = {}
        for glob in globs:
            names = [name for name in self if fnmatch.fnmatchcase(name, glob)]
            if not names:
                raise UsageError(f"no operator matches {glob!r}{suggestion(glob, self)}")
            chosen.update((name, self._operators[name]) for name in names)
        return [self._operators[name] for name in self if name in chosen]

    def parse(self, text: str) -> Mutant:
        """The mutant with this id in canonical form, its operators and parameters checked; raises UsageError."""
        return Mutant(tuple(self.canonical(mutation) for mutation in Mutant.parse(text).mutations))

    def canonical(self, mutation: Mutation) -> Mutation:
        """The mutation with parameters in their standard spelling and defaults left out."""
        operator = self[mutation.operator]
        defaults = {parameter.name: parameter.default for parameter in operator.all_parameters()}
        values = operator.read_parameters(mutation)
        kept = {name: value for name, value in values.items() if value != defaults[name]}
        return Mutation(
            operator.name,
            tuple((name, Parameter.write(value)) for name, value in kept.items()),
            mutation.function,
            mutation.sites,
        )

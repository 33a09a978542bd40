"""The catalogue of operators by name."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping

from tvm_mutate.errors import UsageError, quoted, suggestion
from tvm_mutate.mutant.identifier import Mutant, Mutation
from tvm_mutate.mutant.operator import Category, Operator, Slot, TextRule

# The group of entry points with which installed packages register operators.
ENTRY_POINT_GROUP = "tvm_mutate.operators"
OPERATOR_SETS: dict[str, Callable[[Operator], bool]] = {
    "default": lambda operator: operator.by_default and operator.category is not Category.CANARY,
    "paper": lambda operator: operator.paper,
    "pipeline": lambda operator: Slot.PIPELINE in operator.slots,
}


class Catalogue(Mapping[str, Operator]):
    """An immutable mapping from operator names to operators.

    Raises ValueError for two operators of one name, for an operator without examples (which are its tests), for a rule
    on generated code in another slot than ``text``, and for another rule in the slot ``text``.
    """

    def __init__(self, operators: Iterable[Operator]) -> None:
        self._operators: dict[str, Operator] = {}
        for operator in operators:
            if operator.name in self._operators:
                raise ValueError(f"two operators are named {operator.name!r}")
            if not operator.examples:
                raise ValueError(f"operator {operator.name!r} has no example; its examples are its tests")
            if {slot is Slot.TEXT for slot in operator.slots} != {isinstance(operator.rule, TextRule)}:
                raise ValueError(
                    f"operator {operator.name!r}: rules on generated code act in the slot text, no others do"
                )
            self._operators[operator.name] = operator

    def __getitem__(self, name: str) -> Operator:
        if name not in self._operators:
            raise UsageError(f"there is no operator {quoted(name)}{suggestion(name, self._operators)}")
        return self._operators[name]

    def __contains__(self, name: object) -> bool:
        return name in self._operators

    def __iter__(self) -> Iterator[str]:
        return iter(self._operators)

    def __len__(self) -> int:
        return len(self._operators)

    def select(self, words: Iterable[str]) -> list[Operator]:
        """The operators that any of the words selects, in catalogue order.

        A word is a glob of names, ``default`` (the operators of a campaign by default), ``paper`` (the mutations of
        MutateNN) or ``pipeline`` (faults of the compiler itself). A word after ``!`` excludes what it selects;
        exclusions alone are from ``default``. Raises UsageError for a glob without a match, and if nothing is left.
        """
        words = list(words)
        chosen: set[str] = set()
        if words and all(word.startswith("!") for word in words):
            words.insert(0, "default")
        for word in sorted(words, key=lambda word: word.startswith("!")):
            glob = word.removeprefix("!")
            names = self._named(glob)
            if not names:
                raise UsageError(f"no operator matches {glob!r}{suggestion(glob, [*self, *OPERATOR_SETS])}")
            chosen = chosen - {*names} if word != glob else chosen | {*names}
        if words and not chosen:
            raise UsageError(f"{','.join(words)!r} excludes every operator; leave one of the exclusions out")
        return [self._operators[name] for name in self if name in chosen]

    def _named(self, word: str) -> list[str]:
        if word in OPERATOR_SETS:
            return [name for name, operator in self._operators.items() if OPERATOR_SETS[word](operator)]
        return [name for name in self if fnmatch.fnmatchcase(name, word)]

    def parse(self, text: str) -> Mutant:
        """The mutant with this id in canonical form, its operators and parameters checked; raises UsageError."""
        return Mutant(tuple(self.canonical(mutation) for mutation in Mutant.parse(text).mutations))

    def canonical(self, mutation: Mutation) -> Mutation:
        """The mutation with parameters in their standard spelling and defaults left out."""
        operator = self[mutation.operator]
        return operator.mutation(operator.read_parameters(mutation)).at(mutation.function, mutation.sites)

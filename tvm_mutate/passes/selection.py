"""What a rewriter is asked to do, and what it says it did."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tvm
from tvm import relax

from tvm_mutate.mutant import Catalogue, GraphRule, Mutation, Operator, Parameters, Slot, TirRule

DESCRIPTION_LIMIT = 160

# TVMScript declares the free variables of a statement in the lines before it.
_SKIPPED = re.compile(r"#|\w+ = T\.(Buffer|handle|bool|u?int\d+|b?float\d+)\(")


@dataclass(frozen=True)
class Selection:
    """A mutation with its operator and typed parameters, ready to be applied."""

    mutation: Mutation
    operator: Operator
    parameters: Parameters

    @property
    def slot(self) -> Slot:
        """The slot in which it acts."""
        return self.operator.slot_of(self.parameters)

    @classmethod
    def resolve(cls, mutation: Mutation, catalogue: Catalogue) -> Selection:
        """The selection of a mutation; raises UsageError for an unknown operator or wrong parameters."""
        operator = catalogue[mutation.operator]
        return cls(mutation, operator, operator.read_parameters(mutation))


@dataclass(frozen=True)
class Site:
    """One place where an operator applies: the node there and what it would become, as text."""

    function: str
    ordinal: int
    before: str
    after: str


@dataclass(frozen=True)
class Replacement:
    """A node that was rewritten: the ordinal of the site, the node before, and what stands there now."""

    ordinal: int
    original: Any
    replacement: Any


@dataclass
class Tally:
    """The sites of one selection in one function: counted in walk order, with those that were rewritten.

    ``offered`` counts the nodes, sites or not, that the operator's rule was offered. ``positions`` (of sites among
    these), ``descriptions`` and ``replacements`` are filled in where they are given as lists.
    """

    selection: Selection
    function: str
    offered: int = 0
    found: int = 0
    applied: list[int] = field(default_factory=list)
    descriptions: list[Site] | None = None
    replacements: list[Replacement] | None = None
    positions: list[int] | None = None

    def __post_init__(self) -> None:
        self._rewrite: Callable[..., Any | None] = self.selection.operator.rule.rewrite
        self._parameters = self.selection.parameters

    def count(self, node: Any) -> Any | None:
        """What a node of the rule's types would become, or None where no site is; counted in either case."""
        candidate = self._rewrite(node, self._parameters)
        self.offered += 1
        if candidate is not None:
            self.found += 1
            if self.positions is not None:
                self.positions.append(self.offered - 1)
        return candidate

    def visit(self, original: Any, rebuilt: Any) -> Any:
        """``rebuilt``, or its replacement where this is a selected site.

        Whether a site is here is decided on the original node alone, so that the ordinals of a higher-order
        mutant's mutations do not depend on each other.
        """
        candidate = self.count(original)
        if candidate is None:
            return rebuilt
        ordinal = self.found - 1
        if self.descriptions is not None:
            self.descriptions.append(Site(self.function, ordinal, one_line(original), one_line(candidate)))
        if ordinal not in self.selection.mutation.sites:
            return rebuilt
        replacement = candidate
        rule, parameters = self.selection.operator.rule, self.selection.parameters
        assert isinstance(rule, TirRule | GraphRule)
        if rebuilt is not original:  # another mutation of the same mutant may have taken the site away
            replacement = rule.rewrite(rebuilt, parameters) if _is_offered(rebuilt, rule) else None
        if replacement is None:
            return rebuilt
        self.applied.append(ordinal)
        if self.replacements is not None:
            self.replacements.append(Replacement(ordinal, original, replacement))
        return replacement


def _is_offered(node: Any, rule: TirRule | GraphRule) -> bool:
    if isinstance(rule, TirRule):
        return isinstance(node, rule.node_types)
    return isinstance(node, relax.Call) and isinstance(node.op, tvm.ir.Op) and node.op.name in rule.ops


def one_line(node: Any) -> str:
    """The first line of a node's TVMScript, shortened; comments and declarations of free variables are skipped."""
    lines = [line.strip() for line in str(node).splitlines()]
    text = next((line for line in lines if line and not _SKIPPED.match(line)), "")
    return shortened(text)


def shortened(text: str) -> str:
    """The text, without its end where it is too long for a description."""
    return text if len(text) <= DESCRIPTION_LIMIT else text[: DESCRIPTION_LIMIT - 1] + "…"

"""Mutations resolved for application, and their sites in a function."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import tvm
from tvm import relax

from tvm_mutate.errors import MutateError, OperatorError, line_of
from tvm_mutate.mutant import Catalogue, GraphRule, Mutation, Operator, Parameters, Rule, Slot, TirRule

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
        """The slot in which the mutation acts."""
        return self.operator.slot_of(self.parameters)

    @classmethod
    def resolve(cls, mutation: Mutation, catalogue: Catalogue) -> Selection:
        """The selection of a mutation; raises UsageError for an unknown operator or wrong parameters."""
        operator = catalogue[mutation.operator]
        return cls(mutation, operator, operator.read_parameters(mutation))


@contextlib.contextmanager
def naming_operators(selections: Sequence[Selection], place: str) -> Iterator[None]:
    """Turns an error, of a rule or of TVM, into an OperatorError that names the operators and the place."""
    try:
        yield
    except MutateError:
        raise
    except Exception as error:
        names = " and ".join(dict.fromkeys(selection.operator.name for selection in selections))
        raise OperatorError(f"{names} on {place} raises {line_of(error)}") from error


@dataclass(frozen=True)
class Site:
    """A node of a function where an operator applies, and its replacement, as text."""

    function: str
    ordinal: int
    before: str
    after: str


@dataclass(frozen=True)
class Applied:
    """What one mutation did to one function.

    ``found`` counts the operator's sites in the function and ``sites`` are the rewritten ones. ``changed`` is the
    proof: the function is structurally different from before.
    """

    mutation: Mutation
    function: str
    found: int
    sites: tuple[int, ...]
    changed: bool


@dataclass(frozen=True)
class Replacement:
    """A node that was rewritten: the ordinal of the site, the node before and the node after."""

    ordinal: int
    original: Any
    replacement: Any


@dataclass
class FunctionSites:
    """The sites of one selection in one function: counted in walk order, and rewritten where selected.

    ``offered`` counts all nodes that the operator's rule was offered, and ``positions`` are those of the sites among
    them. ``positions``, ``descriptions`` and ``replacements`` are filled only if they are given as lists.
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

    def give_context(self, context: Any) -> None:
        """Passes the context of the function to each call of the rule."""
        rewrite: Callable[..., Any | None] = self.selection.operator.rule.rewrite
        self._rewrite = lambda node, parameters: rewrite(node, parameters, context)

    def count(self, node: Any) -> Any | None:
        """The replacement of a node of the rule's types, or None if the node is not a site; both are counted."""
        candidate = self._rewrite(node, self._parameters)
        self.offered += 1
        if candidate is not None:
            self.found += 1
            if self.positions is not None:
                self.positions.append(self.offered - 1)
        return candidate

    def visit(self, original: Any, rebuilt: Any) -> Any:
        """``rebuilt``, or its replacement if this is a selected site.

        The original node alone decides whether this is a site, so the ordinals of the mutations of a higher-order
        mutant do not depend on each other.
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
        if rebuilt is not original:  # another mutation of the same mutant may have removed the site
            is_offered = _is_offered(rebuilt, self.selection.operator.rule)
            replacement = self._rewrite(rebuilt, self._parameters) if is_offered else None
        if replacement is None:
            return rebuilt
        self.applied.append(ordinal)
        if self.replacements is not None:
            self.replacements.append(Replacement(ordinal, original, replacement))
        return replacement

    def report(self, changed: bool) -> Applied:
        """What the mutation did, in a function that did or did not come out different."""
        sites = tuple(self.applied)
        return Applied(self.selection.mutation, self.function, self.found, sites, changed and bool(sites))


def _is_offered(node: Any, rule: Rule) -> bool:
    if isinstance(rule, TirRule):
        return isinstance(node, rule.node_types)
    assert isinstance(rule, GraphRule)
    return isinstance(node, relax.Call) and isinstance(node.op, tvm.ir.Op) and node.op.name in rule.ops


def one_line(node: Any) -> str:
    """The first line of a node's TVMScript, shortened; comments and declarations of free variables are skipped."""
    lines = [line.strip() for line in str(node).splitlines()]
    text = next((line for line in lines if line and not _SKIPPED.match(line)), "")
    return shortened(text)


def shortened(text: str) -> str:
    """The text, cut to ``DESCRIPTION_LIMIT`` characters."""
    return text if len(text) <= DESCRIPTION_LIMIT else text[: DESCRIPTION_LIMIT - 1] + "…"


def unified_difference(before: str, after: str, name: str, context: int) -> str:
    """The unified difference between an unmutated text and its mutant; empty if they are equal."""
    names = f"unmutated/{name}", f"mutated/{name}"
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="", n=context))

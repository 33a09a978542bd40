"""Proves, before anything is built, that a mutation of a PrimFunc cannot change what it computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx

from tvm_mutate.mutant import TirRule
from tvm_mutate.passes.fact_walk import Fact, FactWalk
from tvm_mutate.passes.integer_facts import IntegerFacts, UnknownValueError
from tvm_mutate.passes.selection import Replacement, Selection, Tally, one_line
from tvm_mutate.passes.tir_rewriter import rewrite_prim_func


def prove_equivalent(function: tirx.PrimFunc, name: str, selections: Sequence[Selection]) -> str | None:
    """The proof that the selected sites of a PrimFunc cannot change what it computes, as a sentence; None if none.

    None says nothing: the sites may be equivalent all the same. Only conditions and integers are proved equal,
    with TVM's analyzer, and a function in which nothing is selected has no proof.

    Every pair of an original expression and its replacement is proved equal from facts of the *original*
    program: ranges of loops, values of bound variables, conditions of enclosing branches. That is sound for
    several sites at once. Run the original and the mutated program side by side: as long as they agree, both
    are at the same place in the same state, where the facts hold of the original; so the outermost replaced
    expression that is evaluated next gives the original's value there (its pair includes the replacements
    inside it), and they go on to agree.
    """
    matching = [selection for selection in selections if selection.mutation.matches(name)]
    if not all(isinstance(selection.operator.rule, TirRule) for selection in matching):
        return None
    tallies = [Tally(selection, name, replacements=[]) for selection in matching]
    rewrite_prim_func(function, tallies)
    replaced = [replacement for tally in tallies for replacement in tally.replacements or ()]
    if not replaced or not all(_is_decidable(each.original) and _is_decidable(each.replacement) for each in replaced):
        return None
    if not _Prover(replaced).prove(function):
        return None
    first, others = replaced[0], len(replaced) - 1
    return (
        f"{one_line(first.replacement)} always equals {one_line(first.original)} at site {first.ordinal}"
        + (f", and so at {others} more" if others else "")
        + ": proved by TVM's analyzer"
    )


def _is_decidable(node: Any) -> bool:
    """Whether a node is an expression of a scalar integer or truth value, and compares no floats."""
    dtype = getattr(getattr(node, "ty", None), "dtype", None)
    if dtype is None or dtype.lanes != 1 or not (dtype.is_integer or dtype.is_bool):
        return False
    operand = getattr(getattr(getattr(node, "a", None), "ty", None), "dtype", None)
    return operand is None or not operand.is_float


class _Prover:
    """Proves the replacements where they stand, of which there may be several.

    Originals are found by identity. TVM shares nodes, so one may stand in several places: its replacements have
    to be proved in all of them.
    """

    def __init__(self, replaced: Sequence[Replacement]) -> None:
        self._pending: dict[Any, list[Replacement]] = {}
        for each in replaced:
            self._pending.setdefault(each.original.__chandle__(), []).append(each)
        self._types = {type(each.original) for each in replaced}
        self._proved: set[Any] = set()

    def prove(self, function: tirx.PrimFunc) -> bool:
        """Whether every replacement was met and proved."""
        return FactWalk(self._types, self._check).walk(function) and len(self._proved) == len(self._pending)

    def _check(self, node: Any, known: Sequence[Fact]) -> bool:
        handle = node.__chandle__()
        if handle not in self._pending:
            return True
        self._proved.add(handle)
        try:
            with IntegerFacts() as facts:
                for add in known:
                    add(facts)
                return all(facts.prove_equal(each.original, each.replacement) for each in self._pending[handle])
        except (UnknownValueError, RuntimeError, ValueError):  # the analyzer raises at what it finds no way to handle
            return False

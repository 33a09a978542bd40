"""Proves, before anything is built, that a mutation of a PrimFunc cannot change what it computes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Var, prim
from tvm.sym import Analyzer, ConstIntBound, ProofStrength

from tvm_mutate.mutant import TirRule
from tvm_mutate.passes.fact_walk import Fact, FactWalk, is_pure
from tvm_mutate.passes.ir_rewriting import rewrite_prim_func
from tvm_mutate.passes.selection import FunctionSites, Replacement, Selection, one_line


def prove_equivalent(function: tirx.PrimFunc, name: str, selections: Sequence[Selection]) -> str | None:
    """The proof that the selected sites of a PrimFunc cannot change what it computes, as a sentence; None without one.

    A mutation without proof may still be equivalent. TVM's analyzer proves only conditions and integers equal. A
    function without a selected site has no proof.

    Every pair of an original expression and its replacement is proved equal from facts of the *original* program:
    ranges of loops, values of bound variables, conditions of enclosing branches. This is sound for several sites at
    once. Run the original and the mutated program side by side: as long as they agree, both are at the same node in
    the same state, and the facts hold there. So the outermost replaced expression that is evaluated next has the
    original's value (its pair includes the replacements inside it), and the programs still agree.
    """
    matching = [selection for selection in selections if selection.mutation.matches(name)]
    if not all(isinstance(selection.operator.rule, TirRule) for selection in matching):
        return None
    all_sites = [FunctionSites(selection, name, replacements=[]) for selection in matching]
    rewrite_prim_func(function, all_sites)
    replaced = [replacement for sites_here in all_sites for replacement in sites_here.replacements or ()]
    if not replaced or not all(_is_decidable(each.original) and _is_decidable(each.replacement) for each in replaced):
        return None
    if not _are_proved(function, replaced):
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


def _are_proved(function: tirx.PrimFunc, replaced: Sequence[Replacement]) -> bool:
    """Whether every replacement is proved equal at every position of its original node.

    Originals are found by identity. TVM shares nodes, so one node can have several positions.
    """
    by_original: dict[Any, list[Replacement]] = {}
    for each in replaced:
        by_original.setdefault(each.original.__chandle__(), []).append(each)
    proved: set[Any] = set()

    def is_proved(node: Any, known: Sequence[Fact]) -> bool:
        handle = node.__chandle__()
        if handle not in by_original:
            return True
        proved.add(handle)
        try:
            with IntegerFacts() as facts:
                for add in known:
                    add(facts)
                return all(facts.prove_equal(each.original, each.replacement) for each in by_original[handle])
        # The analyzer raises the last two for expressions that it cannot handle.
        except (UnknownValueError, RuntimeError, ValueError):
            return False

    every_node = FactWalk({type(each.original) for each in replaced}, is_proved).walk(function)
    return every_node and len(proved) == len(by_original)


_ARITHMETIC = (prim.Add, prim.Sub, prim.Mul, prim.Min, prim.Max)
_FLOORED = {prim.Div: prim.FloorDiv, prim.Mod: prim.FloorMod}
_DIVISIONS = (prim.FloorDiv, prim.FloorMod, *_FLOORED)
_CONTRARY = {
    prim.LT: prim.GE,
    prim.GE: prim.LT,
    prim.GT: prim.LE,
    prim.LE: prim.GT,
    prim.EQ: prim.NE,
    prim.NE: prim.EQ,
}
# The largest magnitudes of numbers: those of their type, and at most 32 bits, so that products of two numbers fit the
# analyzer's own int64 arithmetic.
_MAGNITUDES = {"int8": 1 << 7, "int16": 1 << 15, "int32": 1 << 31, "int64": 1 << 31}
_LIKELY = "prim.likely"


class UnknownValueError(Exception):
    """The value of an expression is unknown: it has no integer type, or might overflow."""


class IntegerFacts:
    """Facts about integer variables for TVM's analyzer, and proofs from them; a context manager, to be used once.

    The analyzer reasons about unbounded integers and folds constants in the type of the expression; a program computes
    in types that wrap around or must not overflow. So expressions are translated into int64, and only if each
    intermediate value is known to fit its own type. Any other expression (a load, a call, a comparison of floats)
    becomes a new variable of which only the type is known: an opaque term.
    """

    def __init__(self) -> None:
        self._analyzer = Analyzer()
        self._scopes = contextlib.ExitStack()
        self._numbers: dict[Any, Any] = {}
        self._truths: dict[Any, tuple[Any, Any]] = {}
        self._opaque: dict[tvm_ffi.StructuralKey, Any] = {}
        self._has_branches = False

    def __enter__(self) -> IntegerFacts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scopes.close()

    def add_range(self, variable: Var, start: Any, extent: Any) -> None:
        """The variable is at least ``start`` and less than ``start + extent``."""
        self._begin(variable)
        try:
            low, size = self._number(start), self._number(extent)
            self._fitting(prim.Add(low, size), variable)
        except UnknownValueError:
            return
        if self._analyzer.const_int_bound(size).max_value < 1:
            return  # the loop is empty, and the analyzer takes no empty ranges
        number = Var(variable.name, "int64")
        self._assume(prim.GT(size, _int64(0)))
        self._analyzer.bind(number, tvm.ir.Range.from_min_extent(low, size))
        self._numbers[variable] = number

    def add_value(self, variable: Var, value: Any) -> None:
        """The variable has the value that the expression had where the variable was bound."""
        self._begin(variable)
        if _is_truth(variable) and _is_truth(value):
            self._truths[variable] = self._truth(value, True), self._truth(value, False)
        elif _magnitude(variable) and _magnitude(value):
            with contextlib.suppress(UnknownValueError):
                self._numbers[variable] = self._fitting(self._number(value), variable)

    def add_condition(self, condition: Any, holds: bool) -> None:
        """The condition was found to be true, or false."""
        self._begin()
        self._assume(self._truth(condition, holds))

    def prove_equal(self, original: Any, replacement: Any) -> bool:
        """Whether the replacement is proved to have the original's value and to be as safe to evaluate."""
        if original.ty != replacement.ty:
            return False
        self._begin()
        try:
            before = self._translated(original)
            terms = len(self._opaque)
            after = self._translated(replacement)
        except UnknownValueError:
            return False
        # Translated expressions divide by positive constants and cannot overflow. Only opaque terms (a load) can do
        # harm: if they have effects, or if only the replacement evaluates them, because of a branch in the original.
        safe = not self._opaque or (terms == len(self._opaque) and not self._has_branches)
        if not safe or not all(is_pure(term.key) for term in self._opaque):
            return False
        if len(before) == 2:
            return self._implies(before[0], before[1], after[0]) and self._implies(before[1], before[0], after[1])
        # The SMT solver also proves choices equal, such as a mutated min or max. It takes milliseconds to start, and
        # for comparisons, which are far more frequent, it did not prove more in real networks.
        return self._analyzer.can_prove(prim.EQ(before[0], after[0]), ProofStrength.SYMBOLIC_BOUND)

    def _translated(self, expression: Any) -> tuple[Any, ...]:
        """The expression as a number, or as the conditions under which a truth value is true and false."""
        if _is_truth(expression):
            return self._truth(expression, True), self._truth(expression, False)
        return (self._number(expression),)

    def _implies(self, condition: Any, contrary: Any, conclusion: Any) -> bool:
        """Whether the conclusion is proved wherever the condition holds and its contrary does not."""
        # A condition that cannot hold implies everything, which the analyzer does not conclude by itself.
        if self._analyzer.can_prove(conclusion) or self._analyzer.can_prove(contrary):
            return True
        with self._analyzer.constraint_scope(condition):
            return self._analyzer.can_prove(conclusion)

    def _assume(self, condition: Any) -> None:
        self._scopes.enter_context(self._analyzer.constraint_scope(condition))

    def _begin(self, variable: Var | None = None) -> None:
        if variable is not None and (variable in self._numbers or variable in self._truths):
            raise UnknownValueError(f"{variable} is bound twice, or used before it is bound")
        # A load can give another value at the next fact, so facts share no opaque terms.
        self._opaque = {}
        self._has_branches = False

    def _number(self, expression: Any) -> Any:
        """The int64 expression with the value of an integer expression."""
        kind = type(expression)
        if not _magnitude(expression):
            raise UnknownValueError(f"{expression} is not a signed integer")
        if kind is prim.IntImm:
            return self._fitting(_int64(expression.value), expression)
        if kind is Var:
            if expression not in self._numbers:
                self._numbers[expression] = self._free(expression)
            return self._numbers[expression]
        if kind in _ARITHMETIC:
            return self._fitting(kind(self._number(expression.a), self._number(expression.b)), expression)
        if kind in _DIVISIONS and isinstance(expression.b, prim.IntImm) and expression.b.value > 0:
            dividend, divisor = self._number(expression.a), self._number(expression.b)
            if kind in _FLOORED and self._analyzer.const_int_bound(dividend).min_value < 0:
                raise UnknownValueError(f"{expression} rounds towards zero")
            return _FLOORED.get(kind, kind)(dividend, divisor)
        if kind is prim.Cast:
            return self._fitting(self._number(expression.value), expression)
        if kind is prim.Select:
            self._has_branches = True
            branches = self._number(expression.true_value), self._number(expression.false_value)
            return prim.Select(self._truth(expression.condition, True), *branches)
        return self._term(expression, self._free)

    def _truth(self, expression: Any, wanted: bool) -> Any:
        """The condition, in numbers, under which a truth value is ``wanted``."""
        kind = type(expression)
        if kind is prim.IntImm:
            return prim.const(bool(expression.value) is wanted, "bool")
        if kind is prim.Not:
            return self._truth(expression.a, not wanted)
        if kind in (prim.And, prim.Or):
            self._has_branches = True
            joined = prim.And if (kind is prim.And) is wanted else prim.Or
            return joined(self._truth(expression.a, wanted), self._truth(expression.b, wanted))
        if kind in _CONTRARY:
            with contextlib.suppress(UnknownValueError):
                compare = kind if wanted else _CONTRARY[kind]
                return compare(self._number(expression.a), self._number(expression.b))
        if kind is Call and getattr(expression.op, "name", None) == _LIKELY:
            return self._truth(expression.args[0], wanted)
        if kind is Var:
            if expression not in self._truths:
                self._truths[expression] = _undecided(expression)
            return self._truths[expression][not wanted]
        return self._term(expression, _undecided)[not wanted]

    def _term(self, expression: Any, make: Callable[[Any], Any]) -> Any:
        key = tvm_ffi.StructuralKey(expression)
        if key not in self._opaque:
            self._opaque[key] = make(expression)
        return self._opaque[key]

    def _free(self, expression: Any) -> Any:
        number = Var("unknown", "int64")
        magnitude = _magnitude(expression)
        if expression.ty.dtype != "int64":
            self._analyzer.update(number, ConstIntBound(-magnitude, magnitude - 1))
        return number

    def _fitting(self, number: Any, expression: Any) -> Any:
        bound, magnitude = self._analyzer.const_int_bound(number), _magnitude(expression)
        if not -magnitude <= bound.min_value <= bound.max_value < magnitude:
            raise UnknownValueError(f"{expression} might overflow")
        return number


def _undecided(_expression: Any) -> tuple[Any, Any]:
    truth = Var("undecided", "bool")
    return truth, prim.Not(truth)


def _int64(value: int) -> Any:
    return prim.IntImm("int64", value)


def _magnitude(expression: Any) -> int:
    """The largest magnitude of a scalar signed integer; zero for any other expression."""
    return _MAGNITUDES.get(str(getattr(expression.ty, "dtype", None)), 0)


def _is_truth(expression: Any) -> bool:
    return getattr(expression.ty, "dtype", None) == "bool"

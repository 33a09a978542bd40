"""The values of index expressions over the iterations of the loops around them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm.ir import Call, Var, prim
from tvm.sym import Analyzer
from tvm.tirx.analysis import undefined_vars

from tvm_mutate.passes.fact_walk import Fact

# The analyzer computes bounds in int64 and assumes that no type overflows.
_WIDE = ("int32", "int64")
_MOST = 1 << 31
# Results of these can exceed their operands; results of all other operations fit if their operands fit.
_GROWING = (prim.Add, prim.Sub, prim.Mul)
_DIVISIONS = (prim.FloorDiv, prim.FloorMod, prim.Div, prim.Mod)


class IndexBounds:
    """Bounds of indices from loops and bound values, by TVM's analyzer: a quick first look without conditions.

    If a variable is bound twice in a function, no bound is certain any more.
    """

    def __init__(self) -> None:
        self._analyzer = Analyzer()
        self._is_certain = True
        self._added: dict[Fact, None] = {}

    def are_inside(self, indices: Sequence[Any], shape: Sequence[Any], facts: Sequence[Fact]) -> bool:
        """Whether all indices are certain to be inside the shape; False means unknown."""
        for fact in facts:
            if fact not in self._added:
                self._added[fact] = None
                fact(self)
        if len(indices) != len(shape) or not self._is_certain:
            return False
        return all(
            isinstance(extent, prim.IntImm) and self._is_below(index, int(extent.value))
            for index, extent in zip(indices, shape, strict=True)
        )

    def add_range(self, variable: Var, start: Any, extent: Any) -> None:
        """The variable is at least ``start`` and less than ``start + extent``; both have to be constants."""
        # The bounds of an unbound variable are those of its type.
        if isinstance(start, prim.IntImm) and isinstance(extent, prim.IntImm) and extent.value > 0:
            self._bind(variable, tvm.ir.Range.from_min_extent(start, extent))

    def add_value(self, variable: Var, value: Any) -> None:
        """The variable has the value of the expression."""
        if self._is_plain(value):
            self._bind(variable, value)

    def add_condition(self, condition: Any, holds: bool) -> None:
        """Ignored: bounds may be wider than necessary."""

    def _bind(self, variable: Var, meaning: Any) -> None:
        try:
            self._analyzer.bind(variable, meaning)
        except tvm.error.InternalError:  # it is bound to something else already
            self._is_certain = False

    def _is_below(self, index: Any, extent: int) -> bool:
        if not self._is_plain(index):
            return False
        bound = self._analyzer.const_int_bound(index)
        return bool(0 <= bound.min_value <= bound.max_value < extent)

    def _is_plain(self, expression: Any) -> bool:
        """Whether an expression has a wide integer type and no cast, possible division by 0, or possible overflow."""
        if str(getattr(expression.ty, "dtype", None)) not in _WIDE:
            return False
        if type(expression) in (Var, prim.IntImm):
            return True
        ends = tvm_ffi.VisitInterrupt()

        def on_division(node: Any) -> tvm_ffi.VisitInterrupt | None:
            return None if isinstance(node.b, prim.IntImm) and node.b.value > 0 else ends

        def on_growing(node: Any) -> tvm_ffi.VisitInterrupt | None:
            bound = self._analyzer.const_int_bound(node)
            return None if -_MOST <= bound.min_value <= bound.max_value < _MOST else ends

        looks = [(prim.Cast, lambda _node: ends), (_DIVISIONS, on_division), (_GROWING, on_growing)]
        return tvm_ffi.structural_walk(expression, looks) is None


# The most iterations that are evaluated together; of more iterations only those at the edges of each loop are.
MOST_ITERATIONS = 1 << 21
_EDGE = 3

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    prim.Add: np.add,
    prim.Sub: np.subtract,
    prim.Mul: np.multiply,
    prim.Min: np.minimum,
    prim.Max: np.maximum,
    prim.FloorDiv: np.floor_divide,
    prim.FloorMod: np.mod,
    prim.Div: lambda a, b: np.trunc(np.divide(a, b)).astype(np.int64),
    prim.Mod: np.fmod,
    prim.LT: np.less,
    prim.LE: np.less_equal,
    prim.GT: np.greater,
    prim.GE: np.greater_equal,
    prim.EQ: np.equal,
    prim.NE: np.not_equal,
    prim.And: np.logical_and,
    prim.Or: np.logical_or,
}
_NARROW = ("int8", "int16", "int32", "uint8", "uint16", "uint32")
_INTEGERS = ("bool", "int64", *_NARROW)


class UndecidedError(Exception):
    """The value of an expression is unknown: it depends on more than loops of constant extent."""


class Iterations:
    """The loops, bound values and conditions around one node, added from the outermost inwards.

    A condition that depends on data is left out and sets ``has_unknown_conditions``: then some of the iterations may
    not reach the node.
    """

    def __init__(self) -> None:
        self._loops: dict[Any, tuple[int, int]] = {}
        self._values: dict[Any, Any] = {}
        self._conditions: list[tuple[Any, bool]] = []
        self.has_unknown_conditions = False

    def add_range(self, variable: Var, start: Any, extent: Any) -> None:
        """The variable is at least ``start`` and less than ``start + extent``; both have to be constants."""
        if isinstance(start, prim.IntImm) and isinstance(extent, prim.IntImm):
            self._loops[variable] = (int(start.value), int(extent.value))

    def add_value(self, variable: Var, value: Any) -> None:
        """The variable has the value of the expression."""
        self._values[variable] = value

    def add_condition(self, condition: Any, holds: bool) -> None:
        """The condition was found to be true, or false."""
        if holds and isinstance(condition, prim.And):
            self.add_condition(condition.a, True)
            self.add_condition(condition.b, True)
        elif isinstance(condition, Call) and getattr(condition.op, "name", None) == "prim.likely":
            self.add_condition(condition.args[0], holds)
        else:
            self._conditions.append((condition, holds))

    def values(self, expressions: Sequence[Any]) -> tuple[np.ndarray, bool]:
        """The values of integer expressions at the iterations that reach the node, and whether these are all.

        Shape [expressions, iterations]. If there are too many iterations, only those at the edges of loops count.
        Raises UndecidedError for an expression that depends on more than loops.
        """
        loops = self._loops_of(expressions)
        conditions = self._known_conditions()
        while True:  # conditions that share a loop with the expressions decide which iterations reach the node
            related = [each for each, needed in conditions if needed & loops]
            more = set().union(*(needed for _, needed in conditions if needed & loops)) | loops
            if more == loops:
                break
            loops = more
        if not all(self._can_hold(each, needed) for each, needed in conditions if not needed & loops):
            return np.empty((len(expressions), 0), np.int64), True
        grid, complete = self._grid(loops)
        shape = np.broadcast_shapes((1,), *(axis.shape for axis in grid.values()))
        holds = np.ones(shape, bool)
        for condition, wanted in related:
            holds = holds & (self._evaluated(condition, grid, {}) == wanted)
        values = [np.broadcast_to(self._evaluated(each, grid, {}), shape)[holds] for each in expressions]
        return np.stack(values).astype(np.int64), complete

    def _known_conditions(self) -> list[tuple[tuple[Any, bool], set[Any]]]:
        known = []
        for condition, holds in self._conditions:
            try:
                needed = self._loops_of([condition])
                self._evaluated(condition, self._points(needed), {})
                known.append(((condition, holds), needed))
            except UndecidedError:
                self.has_unknown_conditions = True
        return known

    def _can_hold(self, condition: tuple[Any, bool], loops: set[Any]) -> bool:
        grid, complete = self._grid(loops)
        return not complete or bool(np.any(self._evaluated(condition[0], grid, {}) == condition[1]))

    def _loops_of(self, expressions: Sequence[Any]) -> set[Any]:
        """The loops that expressions depend on, directly or through bound values."""
        found: set[Any] = set()
        waiting = [variable for each in expressions for variable in undefined_vars(each)]
        while waiting:
            variable = waiting.pop()
            if variable in self._values:
                waiting.extend(undefined_vars(self._values[variable]))
            elif variable in self._loops:
                found.add(variable)
            else:
                raise UndecidedError(f"{variable} is no loop of constant extent")
        return found

    def _points(self, loops: set[Any]) -> dict[Any, np.ndarray]:
        return {loop: np.array([self._loops[loop][0]]) for loop in loops}

    def _grid(self, loops: set[Any]) -> tuple[dict[Any, np.ndarray], bool]:
        """The values of each loop variable along an axis of its own, and whether these are all of them."""
        ordered = [loop for loop in self._loops if loop in loops]
        complete = math.prod(self._loops[loop][1] for loop in ordered) <= MOST_ITERATIONS
        grid = {}
        for axis, loop in enumerate(ordered):
            start, extent = self._loops[loop]
            numbers = np.arange(start, start + extent)
            if not complete and extent > 2 * _EDGE:
                numbers = np.concatenate([numbers[:_EDGE], numbers[-_EDGE:]])
            grid[loop] = numbers.reshape([-1 if each == axis else 1 for each in range(len(ordered))])
        if math.prod(numbers.size for numbers in grid.values()) > MOST_ITERATIONS:
            raise UndecidedError("there are too many loops")
        return grid, complete

    def _evaluated(self, expression: Any, grid: dict[Any, np.ndarray], known: dict[Any, Any]) -> Any:
        kind = type(expression)
        if kind is prim.IntImm:
            return np.int64(expression.value)
        if kind is Var:
            return self._variable(expression, grid, known)
        if kind in _BINARY:
            operands = [self._evaluated(each, grid, known) for each in (expression.a, expression.b)]
            if kind in _DIVISIONS and not np.all(operands[1]):
                raise UndecidedError(f"{expression} divides by zero")
            return _fitting(_BINARY[kind](*operands), expression)
        if kind is prim.Not:
            return np.logical_not(self._evaluated(expression.a, grid, known))
        if kind is prim.Cast and str(expression.ty.dtype) in _INTEGERS:
            # A cast to a narrower type keeps the lowest bits, as LLVM's trunc does.
            value = np.asarray(self._evaluated(expression.value, grid, known))
            return value.astype(str(expression.ty.dtype)).astype(np.int64)
        choice = _choice(expression)
        if choice is None:
            raise UndecidedError(f"{expression} depends on more than loops and constants")
        return np.where(*(self._evaluated(each, grid, known) for each in choice))

    def _variable(self, variable: Any, grid: dict[Any, np.ndarray], known: dict[Any, Any]) -> Any:
        if variable in grid:
            return grid[variable]
        if variable not in known:
            if variable not in self._values:
                raise UndecidedError(f"{variable} is no loop of constant extent")
            known[variable] = self._evaluated(self._values[variable], grid, known)
        return known[variable]


def _fitting(numbers: Any, expression: Any) -> Any:
    """The values of an expression; raises UndecidedError if its type cannot hold them."""
    dtype = str(expression.ty.dtype)
    if dtype in _NARROW and not np.all((numbers >= np.iinfo(dtype).min) & (numbers <= np.iinfo(dtype).max)):
        raise UndecidedError(f"{expression} overflows")
    return numbers


def _choice(expression: Any) -> tuple[Any, ...] | None:
    """The condition and both values of a Select or if_then_else; None for other expressions."""
    if isinstance(expression, prim.Select):
        return expression.condition, expression.true_value, expression.false_value
    if isinstance(expression, Call) and getattr(expression.op, "name", None) == "prim.if_then_else":
        return tuple(expression.args)
    return None

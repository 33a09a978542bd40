"""Whether indices are inside a shape whatever the conditions around them, by TVM's analyzer: a quick first look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
import tvm_ffi
from tvm.ir import Var, prim
from tvm.sym import Analyzer

from tvm_mutate.passes.fact_walk import Fact

# The analyzer computes bounds in int64, and takes for granted that no type overflows.
_WIDE = ("int32", "int64")
_MOST = 1 << 31
# What it is made of fits its type where these do: the others are no larger than what they are made of.
_GROWING = (prim.Add, prim.Sub, prim.Mul)
_DIVISIONS = (prim.FloorDiv, prim.FloorMod, prim.Div, prim.Mod)


class IndexBounds:
    """What loops and bound values say of indices; conditions are left out, so that bounds may be wider than need be.

    Facts are added as they come. A variable has one meaning in a function; where one has two, nothing more is certain.
    """

    def __init__(self) -> None:
        self._analyzer = Analyzer()
        self._is_certain = True
        self._added: dict[Fact, None] = {}

    def are_inside(self, indices: Sequence[Any], shape: Sequence[Any], facts: Sequence[Fact]) -> bool:
        """Whether all indices are certain to be inside the shape, of as many constants; False says nothing."""
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
        # Of a variable that is not bound the bounds are those of its type.
        if isinstance(start, prim.IntImm) and isinstance(extent, prim.IntImm) and extent.value > 0:
            self._bind(variable, tvm.ir.Range.from_min_extent(start, extent))

    def add_value(self, variable: Var, value: Any) -> None:
        """The variable has the value of the expression."""
        if self._is_plain(value):
            self._bind(variable, value)

    def add_condition(self, condition: Any, holds: bool) -> None:
        """Left out: whoever needs conditions has to look more closely."""

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
        """Whether an expression is of a wide integer type, without casts, divisions by what may be 0, and overflow.

        What wraps around has no such bounds.
        """
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

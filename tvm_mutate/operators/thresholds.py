"""Conditional Statement Operations: the thresholds of comparisons moved.

The threshold of a comparison is its constant operand, or the right-hand one where neither or both are constant.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.conditions import DECIDING_NODES, as_comparison, compares_numbers, decided_by
from tvm_mutate.operators.parameters import AMOUNTS, FACTORS
from tvm_mutate.operators.tir_nodes import another_constant, constant_like, element_type, literal

_SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)


def _shift(node: Any, parameters: Parameters) -> Any | None:
    comparison = as_comparison(node)
    by = float(parameters["by"])
    if comparison is None or not math.isfinite(by) or not compares_numbers(comparison):
        return None
    dtype = element_type(comparison.a)
    if dtype.is_float or by.is_integer():
        return _with_threshold(node, comparison, _shifted(_threshold(comparison), by))
    if isinstance(comparison, (prim.EQ, prim.NE)):  # no integer equals a number between two integers
        return decided_by(node, prim.const(isinstance(comparison, prim.NE), comparison.ty.dtype))
    return _with_threshold(node, comparison, _shifted(_threshold(comparison), _rounded(comparison, by)))


def _rounded(comparison: Any, by: float) -> int:
    """The whole shift that decides between integers just as the fractional one does between real numbers.

    ``i < n + 0.5`` is ``i < n + 1``, but ``i <= n + 0.5`` is ``i <= n``.
    """
    upwards = (prim.LE, prim.GT) if _is_on_the_left(comparison) else (prim.LT, prim.GE)
    return math.ceil(by) if isinstance(comparison, upwards) else math.floor(by)


def _shifted(threshold: Any, by: float) -> Any | None:
    dtype = element_type(threshold)
    number = by if dtype.is_float else int(by)
    value = literal(threshold)
    if value is not None:
        return another_constant(threshold, value + number)
    if number == 0 or str(dtype).startswith("uint"):  # an unsigned sum may wrap around
        return None
    size = constant_like(threshold, abs(number))
    if size is None:
        return None
    return threshold + size if number > 0 else threshold - size


def _scale(node: Any, parameters: Parameters) -> Any | None:
    return _scaled_by(node, Fraction(repr(parameters["factor"])))


def _percent(node: Any, parameters: Parameters) -> Any | None:
    return _scaled_by(node, 1 + Fraction(repr(parameters["percent"])) / 100)


def _scaled_by(node: Any, factor: Fraction) -> Any | None:
    comparison = as_comparison(node)
    if comparison is None or factor == 1 or not compares_numbers(comparison):
        return None
    threshold = _threshold(comparison)
    dtype = element_type(threshold)
    value = literal(threshold)
    if value is not None:
        # A fraction, so that 10 % of 35 is what it is on paper before it is rounded.
        scaled = round(value * factor) if dtype.is_integer else value * float(factor)
        return _with_threshold(node, comparison, another_constant(threshold, scaled))
    size = constant_like(threshold, float(factor)) if dtype.is_float else None
    return None if size is None else _with_threshold(node, comparison, threshold * size)


def _is_on_the_left(comparison: Any) -> bool:
    return literal(comparison.a) is not None and literal(comparison.b) is None


def _threshold(comparison: Any) -> Any:
    return comparison.a if _is_on_the_left(comparison) else comparison.b


def _with_threshold(node: Any, comparison: Any, threshold: Any | None) -> Any | None:
    if threshold is None:
        return None
    left = _is_on_the_left(comparison)
    operands = (threshold, comparison.b) if left else (comparison.a, threshold)
    return decided_by(node, type(comparison)(*operands))


_IF = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        if {}:
            B[i] = A[i]
"""
_PADDING = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((20,), "float32")):
    for i in range(20):
        B[i] = T.if_then_else({}, A[i - 2], T.float32(0))
"""
_RELU = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = {}
"""

SHIFT_THRESHOLD = Operator(
    name="tir.shift-threshold",
    fault="a wrong constant in a condition (incorrect code logic, Shen et al. 2021)",
    paper=True,
    slots=_SLOTS,
    category=Category.CONDITIONAL,
    description="adds a constant to the threshold of a comparison; integers are compared with a fractional "
    "threshold as real numbers would be, so i < n + 0.5 is i <= n",
    rule=TirRule(DECIDING_NODES, _shift),
    parameters=(Parameter("by", "what is added to the threshold", 1.0, magnitude=AMOUNTS),),
    variants=({"by": 1.0}, {"by": -1.0}, {"by": 0.5}, {"by": -0.5}),
    examples=(
        Example(_IF.format("i < 8"), _IF.format("i < 9"), {"by": 0.5}),
        Example(_PADDING.format("2 <= i and i < 18"), _PADDING.format("1 <= i and i < 17"), {"by": -1.0}),
        Example(
            _RELU.format("T.max(A[i], T.float32(0))"),
            _RELU.format("T.Select(A[i] > T.float32(0.5), A[i], T.float32(0))"),
            {"by": 0.5},
        ),
    ),
    undefined_behaviour=True,
)

SCALE_THRESHOLD = Operator(
    name="tir.scale-threshold",
    fault="a wrong constant in a condition (incorrect code logic, Shen et al. 2021)",
    paper=True,
    slots=_SLOTS,
    category=Category.CONDITIONAL,
    description="multiplies the threshold of a comparison by a factor; an integer threshold has to be a "
    "constant, and is rounded to the nearest integer",
    rule=TirRule(DECIDING_NODES, _scale),
    parameters=(Parameter("factor", "what the threshold is multiplied by", 2.0, magnitude=FACTORS),),
    variants=({"factor": 2.0}, {"factor": 0.5}),
    examples=(
        Example(_PADDING.format("2 <= i and i < 18"), _PADDING.format("4 <= i and i < 36"), {"factor": 2.0}),
        Example(
            _RELU.format("T.min(A[i], T.float32(6))"),
            _RELU.format("T.Select(A[i] < T.float32(3), A[i], T.float32(6))"),
            {"factor": 0.5},
        ),
    ),
    undefined_behaviour=True,
)

PERCENT_THRESHOLD = Operator(
    name="tir.percent-threshold",
    fault="a wrong constant in a condition (incorrect code logic, Shen et al. 2021)",
    paper=True,
    slots=_SLOTS,
    category=Category.CONDITIONAL,
    description="raises or lowers the threshold of a comparison by a percentage; an integer threshold has to be "
    "a constant, and is rounded to the nearest integer",
    rule=TirRule(DECIDING_NODES, _percent),
    parameters=(Parameter("percent", "by how many percent the threshold rises", 10.0, magnitude=AMOUNTS),),
    variants=({"percent": 10.0}, {"percent": -10.0}),
    examples=(
        Example(_IF.format("i < 8"), _IF.format("i < 9"), {"percent": 10.0}),
        Example(_IF.format("A[i] < A[0]"), _IF.format("A[i] < A[0] * T.float32(0.9)"), {"percent": -10.0}),
    ),
    undefined_behaviour=True,
)

OPERATORS = (SHIFT_THRESHOLD, SCALE_THRESHOLD, PERCENT_THRESHOLD)

"""Conditional Statement Operations: comparisons, thresholds, connectives and branches.

A comparison is a site in any condition: of an ``if`` statement, an ``if_then_else``, a Select or a block predicate. A
min or max is a site too: it compares its arguments. The threshold of a comparison is its constant operand, or the right
one if none or both are constant. A guard is a branch with one side: an ``if`` without ``else``, or a block predicate.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import partial
from typing import Any

from tvm import tirx
from tvm.ir import Call, prim
from tvm.s_tir import SBlockRealize

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.parameters import AMOUNTS, FACTORS, replacement
from tvm_mutate.operators.tir_nodes import (
    another_constant,
    constant_like,
    element_type,
    literal,
    node_with,
    nothing,
    storing,
)

_COMPARISONS: dict[str, Any] = {
    "lt": prim.LT,
    "le": prim.LE,
    "gt": prim.GT,
    "ge": prim.GE,
    "eq": prim.EQ,
    "ne": prim.NE,
}
_COMPARING = (*_COMPARISONS.values(), prim.Max, prim.Min)
_CONNECTIVES = {"and": (prim.And, prim.Or), "or": (prim.Or, prim.And)}
_GUARDS = (tirx.IfThenElse, SBlockRealize)
_BRANCHES = (*_GUARDS, prim.Select, Call)
_IF_THEN_ELSE = "prim.if_then_else"
_RUN_TIME = ("tirx.TVMBackend", "tirx.isnullptr")


def _checks_the_run_time(condition: Any) -> bool:
    """Whether a condition checks memory or return codes that TVM's own run-time calls give."""
    while not isinstance(condition, Call) and hasattr(condition, "a"):
        condition = condition.a
    return isinstance(condition, Call) and str(getattr(condition.op, "name", "")).startswith(_RUN_TIME)


def _comparison(node: Any) -> Any | None:
    """The comparison that decides a node; the comparison of max(a, b) is a > b, that of min(a, b) is a < b."""
    if _checks_the_run_time(node):
        return None
    if isinstance(node, prim.Max):
        return prim.GT(node.a, node.b)
    return prim.LT(node.a, node.b) if isinstance(node, prim.Min) else node


def _decided_by(node: Any, comparison: Any) -> Any:
    """The node with another deciding comparison; a min or max still takes one of its arguments."""
    return prim.Select(comparison, node.a, node.b) if isinstance(node, (prim.Max, prim.Min)) else comparison


def _compares_numbers(comparison: Any) -> bool:
    """Whether the operands are integers or floats; truth values and pointers have no order."""
    dtype = element_type(comparison.a)
    return dtype is not None and (dtype.is_integer or dtype.is_float)


def _swap_compare(node: Any, parameters: Parameters) -> Any | None:
    comparison = _comparison(node)
    before, after = (_COMPARISONS[str(parameters[name])] for name in ("from", "to"))
    if before is after or not isinstance(comparison, before) or _differs_for_ties_only(node, after):
        return None
    if after not in (prim.EQ, prim.NE) and not _compares_numbers(comparison):
        return None
    return _decided_by(node, after(comparison.a, comparison.b))


def _differs_for_ties_only(node: Any, after: type) -> bool:
    """Whether the mutant takes the other one of two equal integers, which has no effect (zeros of floats differ)."""
    return after is {prim.Max: prim.GE, prim.Min: prim.LE}.get(type(node)) and element_type(node).is_integer


def _shift(node: Any, parameters: Parameters) -> Any | None:
    comparison, by = _comparison(node), float(parameters["by"])
    if comparison is None or not math.isfinite(by) or not _compares_numbers(comparison):
        return None
    if not element_type(comparison.a).is_float and not by.is_integer():
        if isinstance(comparison, (prim.EQ, prim.NE)):  # no integer equals a number between two integers
            return _decided_by(node, prim.const(isinstance(comparison, prim.NE), comparison.ty.dtype))
        by = _rounded(comparison, by)
    return _with_threshold(node, comparison, _shifted(_threshold(comparison), by))


def _rounded(comparison: Any, by: float) -> int:
    """The whole number with the effect of a fractional shift: ``i < n + 0.5`` is ``i < n + 1``, but for <= it is n."""
    upwards = (prim.LE, prim.GT) if _is_on_the_left(comparison) else (prim.LT, prim.GE)
    return math.ceil(by) if isinstance(comparison, upwards) else math.floor(by)


def _shifted(threshold: Any, by: float) -> Any | None:
    dtype, value = element_type(threshold), literal(threshold)
    number = by if dtype.is_float else int(by)
    if value is not None:
        return another_constant(threshold, value + number)
    if number == 0 or str(dtype).startswith("uint"):  # an unsigned sum may wrap around
        return None
    size = constant_like(threshold, abs(number))
    if size is None:
        return None
    return threshold + size if number > 0 else threshold - size


def _scale(node: Any, parameters: Parameters) -> Any | None:
    return _scaled(node, Fraction(repr(parameters["factor"])))


def _percent(node: Any, parameters: Parameters) -> Any | None:
    return _scaled(node, 1 + Fraction(repr(parameters["percent"])) / 100)


def _scaled(node: Any, factor: Fraction) -> Any | None:
    """The node with its threshold multiplied by an exact factor, so that 110 % of 35 is 38.5 before rounding."""
    comparison = _comparison(node)
    if comparison is None or factor == 1 or not _compares_numbers(comparison):
        return None
    threshold = _threshold(comparison)
    dtype, value = element_type(threshold), literal(threshold)
    if value is not None:
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
    operands = (threshold, comparison.b) if _is_on_the_left(comparison) else (comparison.a, threshold)
    return _decided_by(node, type(comparison)(*operands))


def _swap_logic(node: Any, parameters: Parameters) -> Any | None:
    before, after = _CONNECTIVES[str(parameters["from"])]
    return after(node.a, node.b) if isinstance(node, before) else None


def _drop_operand(node: Any, parameters: Parameters) -> Any:
    return node.b if parameters["operand"] == "left" else node.a


def _condition(node: Any) -> Any | None:
    """The condition of a branch; None if the condition is constant or checks TVM's run time, and for other nodes."""
    if isinstance(node, Call):
        condition = node.args[0] if getattr(node.op, "name", "") == _IF_THEN_ELSE else None
    else:
        condition = node.predicate if isinstance(node, SBlockRealize) else node.condition
    if condition is None or literal(condition) is not None or _checks_the_run_time(condition):
        return None
    return condition


def _with_condition(node: Any, condition: Any) -> Any:
    if isinstance(node, Call):
        return Call(node.op, [condition, *node.args[1:]], node.attrs, node.ty_args, ret_ty=node.ty)
    return node_with(node, **{"predicate" if isinstance(node, SBlockRealize) else "condition": condition})


def _sides(node: Any) -> tuple[Any, Any]:
    """The sides that a branch takes if its condition is true, and if the condition is false."""
    if isinstance(node, Call):
        return node.args[1], node.args[2]
    if isinstance(node, prim.Select):
        return node.true_value, node.false_value
    return node.then_case, node.else_case


def _negate(node: Any, _parameters: Parameters) -> Any | None:
    condition = _condition(node)
    if condition is None:
        return None
    return _with_condition(node, condition.a if isinstance(condition, prim.Not) else prim.Not(condition))


def _force(node: Any, parameters: Parameters) -> Any | None:
    if _condition(node) is None:
        return None
    is_true = bool(parameters["to"])
    if _is_guard(node) and is_true:
        return None
    if isinstance(node, SBlockRealize):
        return _with_condition(node, prim.const(False, "bool"))
    side = _sides(node)[0 if is_true else 1]
    return nothing() if side is None else side


def _drop_guard(node: Any, _parameters: Parameters) -> Any | None:
    if _condition(node) is None or not _is_guard(node):
        return None
    return _with_condition(node, prim.const(True, "bool")) if isinstance(node, SBlockRealize) else node.then_case


def _eager(call: Any, _parameters: Parameters) -> Any | None:
    return None if _condition(call) is None else prim.Select(*call.args)


def _guard_store(store: Any, _parameters: Parameters) -> Any | None:
    branch = store.value
    condition = _condition(branch) if isinstance(branch, (Call, prim.Select)) else None
    if condition is None or condition.ty.dtype.lanes > 1:
        return None
    return tirx.IfThenElse(condition, storing(store, _sides(branch)[0]), None)


def _is_guard(node: Any) -> bool:
    return isinstance(node, SBlockRealize) or (isinstance(node, tirx.IfThenElse) and node.else_case is None)


_operator = partial(
    Operator,
    slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
    category=Category.CONDITIONAL,
    undefined_behaviour=True,
)
_threshold_operator = partial(
    _operator, fault="a wrong constant in a condition (incorrect code logic, Shen et al. 2021)", paper=True
)

OPERATORS = (
    _operator(
        name="tir.swap-compare",
        fault="a boundary condition that is off by one or inverted (incorrect code logic, Shen et al. 2021)",
        paper=True,
        description="replaces a comparison by another one; max(a, b) counts as a > b and min(a, b) as a < b",
        rule=TirRule(_COMPARING, _swap_compare),
        # The paper's pairs and <=, with which TVM writes most guards.
        **replacement("comparison", "lt>le lt>gt gt>lt gt>ge le>lt le>gt", _COMPARISONS),
        examples=kernel_examples("""
            map | from=lt to=le
            if i < 8: B[i] = A[i]
            if i <= 8: B[i] = A[i]
            map | from=gt to=lt
            B[i] = T.max(A[i], T.float32(0))
            B[i] = T.Select(A[i] < T.float32(0), A[i], T.float32(0))
            tiles | from=lt to=le
            T.where(i * 4 + j < 18); B[vi] = T.if_then_else(1 <= vi and vi < 17, A[vi], T.float32(0))
            T.where(i * 4 + j <= 18); B[vi] = T.if_then_else(1 <= vi and vi <= 17, A[vi], T.float32(0))
        """),
    ),
    _threshold_operator(
        name="tir.shift-threshold",
        description="adds a constant to the threshold of a comparison; integers are compared with a fractional "
        "threshold as real numbers would be, so i < n + 0.5 is i <= n",
        rule=TirRule(_COMPARING, _shift),
        parameters=(Parameter("by", "what is added to the threshold", 1.0, magnitude=AMOUNTS),),
        variants=({"by": 1.0}, {"by": -1.0}, {"by": 0.5}, {"by": -0.5}),
        examples=kernel_examples("""
            map | by=0.5
            if i < 8: B[i] = A[i]
            if i < 9: B[i] = A[i]
            padding | by=-1.0
            B[i] = T.if_then_else(2 <= i and i < 18, A[i - 2], T.float32(0))
            B[i] = T.if_then_else(1 <= i and i < 17, A[i - 2], T.float32(0))
            map | by=0.5
            B[i] = T.max(A[i], T.float32(0))
            B[i] = T.Select(A[i] > T.float32(0.5), A[i], T.float32(0))
        """),
    ),
    _threshold_operator(
        name="tir.scale-threshold",
        description="multiplies the threshold of a comparison by a factor; an integer threshold must be a constant, "
        "and is rounded to the nearest integer",
        rule=TirRule(_COMPARING, _scale),
        parameters=(Parameter("factor", "what the threshold is multiplied by", 2.0, magnitude=FACTORS),),
        variants=({"factor": 2.0}, {"factor": 0.5}),
        examples=kernel_examples("""
            padding | factor=2.0
            B[i] = T.if_then_else(2 <= i and i < 18, A[i - 2], T.float32(0))
            B[i] = T.if_then_else(4 <= i and i < 36, A[i - 2], T.float32(0))
            map | factor=0.5
            B[i] = T.min(A[i], T.float32(6))
            B[i] = T.Select(A[i] < T.float32(3), A[i], T.float32(6))
        """),
    ),
    _threshold_operator(
        name="tir.percent-threshold",
        description="raises or lowers the threshold of a comparison by a percentage; an integer threshold must be a "
        "constant, and is rounded to the nearest integer",
        rule=TirRule(_COMPARING, _percent),
        parameters=(Parameter("percent", "by how many percent the threshold rises", 10.0, magnitude=AMOUNTS),),
        variants=({"percent": 10.0}, {"percent": -10.0}),
        examples=kernel_examples("""
            map | percent=10.0
            if i < 8: B[i] = A[i]
            if i < 9: B[i] = A[i]
            map | percent=-10.0
            if A[i] < A[0]: B[i] = A[i]
            if A[i] < A[0] * T.float32(0.9): B[i] = A[i]
        """),
    ),
    _operator(
        name="tir.swap-logic",
        fault="a condition that is negated or merged without exchanging its connectives (incorrect code logic, Shen "
        "et al. 2021; TVM's src/arith/canonical_simplify.cc)",
        description="replaces a logical and by an or, or the reverse; a guard against accesses outside a buffer "
        "then lets most of them through",
        rule=TirRule((prim.And, prim.Or), _swap_logic),
        parameters=(Parameter("from", "the connective that is replaced", "and", choices=tuple(_CONNECTIVES)),),
        variants=({"from": "and"},),
        more_variants=({"from": "or"},),
        examples=kernel_examples("""
            padding
            B[i] = T.if_then_else(2 <= i and i < 18, A[i - 2], T.float32(0))
            B[i] = T.if_then_else(2 <= i or i < 18, A[i - 2], T.float32(0))
            map | from=or
            if i < 3 or A[i] < A[0]: B[i] = A[i]
            if i < 3 and A[i] < A[0]: B[i] = A[i]
        """),
        by_default=False,
    ),
    _operator(
        name="tir.drop-operand",
        fault="a part of a condition that is simplified away as always true, though it is not (incorrect code logic, "
        "Shen et al. 2021; TVM's StmtSimplify)",
        description="leaves out the left or right operand of a logical and or or; a guard against accesses outside "
        "a buffer then lets some of them through",
        rule=TirRule((prim.And, prim.Or), _drop_operand),
        parameters=(Parameter("operand", "the operand that is left out", "right", choices=("left", "right")),),
        variants=({"operand": "left"}, {"operand": "right"}),
        examples=kernel_examples("""
            padding
            B[i] = T.if_then_else(2 <= i and i < 18, A[i - 2], T.float32(0))
            B[i] = T.if_then_else(2 <= i, A[i - 2], T.float32(0))
            map | operand=left
            if i < 3 or A[i] < A[0]: B[i] = A[i]
            if A[i] < A[0]: B[i] = A[i]
        """),
        by_default=False,
    ),
    _operator(
        name="tir.negate-condition",
        fault="branches that are exchanged, or a condition that loses its not (incorrect code logic, Shen et al. 2021)",
        description="negates the condition of an if statement, if_then_else, Select or block predicate; a guard then "
        "runs its statement exactly where the statement must not run",
        rule=TirRule(_BRANCHES, _negate),
        examples=kernel_examples("""
            padding
            B[i] = T.if_then_else(2 <= i and i < 18, A[i - 2], T.float32(0))
            B[i] = T.if_then_else(not (2 <= i and i < 18), A[i - 2], T.float32(0))
            tiles
            T.where(i * 4 + j < 18); B[vi] = A[vi]
            T.where(not (i * 4 + j < 18)); B[vi] = A[vi]
            padding
            if not i < 16: B[i] = A[i]
            if i < 16: B[i] = A[i]
        """),
        by_default=False,
    ),
    _operator(
        name="tir.force-condition",
        fault="a branch that is taken for dead and removed (incorrect code logic, Shen et al. 2021; TVM's RemoveNoOp "
        "and StmtSimplify)",
        description="always takes the same side of an if statement, if_then_else or Select; a guard never runs its "
        "statement (tir.drop-guard always runs it)",
        rule=TirRule(_BRANCHES, _force),
        parameters=(Parameter("to", "the value of the condition", False),),
        variants=({"to": False},),
        more_variants=({"to": True},),
        examples=kernel_examples("""
            padding
            B[i] = T.if_then_else(2 <= i and i < 18, A[i - 2], T.float32(0))
            B[i] = T.float32(0)
            map | to=true
            B[i] = T.Select(A[0] < A[1], A[2], A[3]) + A[0]
            B[i] = A[2] + A[0]
            tiles
            T.where(i * 4 + j < 18); B[vi] = A[vi]
            T.where(T.bool(False)); B[vi] = A[vi]
            padding
            if i < 16: B[i] = A[i]
            T.evaluate(0)
        """),
    ),
    _operator(
        name="tir.drop-guard",
        fault="the guard of a loop that does not divide evenly, left out (incorrect code logic, Shen et al. 2021; "
        "TVM's LoopPartition)",
        description="always runs a guarded statement, also where it accesses memory outside its buffers: an if "
        "without else, or a block with a predicate",
        rule=TirRule(_GUARDS, _drop_guard),
        examples=kernel_examples("""
            padding
            if i < 16: B[i] = A[i]
            B[i] = A[i]
            tiles
            T.where(i * 4 + j < 18); B[vi] = A[vi]
            T.where(T.bool(True)); B[vi] = A[vi]
        """),
        by_default=False,
    ),
    _operator(
        name="tir.eager-condition",
        fault="the sides of a conditional expression evaluated before its condition, as in apache/tvm#16242",
        description="evaluates both sides of a conditional expression, whose other side may trap or read outside a "
        "buffer: an if_then_else becomes a Select",
        slots=(Slot.LOWERED, Slot.CODEGEN),  # before, RewriteUnsafeSelect makes an if_then_else of such a Select
        rule=TirRule((Call,), _eager),
        examples=kernel_examples("""
            padding
            B[i] = T.if_then_else(i < 16, A[i], T.float32(0))
            B[i] = T.Select(i < 16, A[i], T.float32(0))
        """),
        by_default=False,
    ),
    _operator(
        name="tir.guard-store",
        fault="a predicated copy that leaves the old value where its predicate is false, instead of zero, as in "
        "apache/tvm#19741",
        description="stores a conditional value only if the condition holds; otherwise the element keeps its old value",
        rule=TirRule((tirx.BufferStore,), _guard_store),
        examples=kernel_examples("""
            padding
            B[i] = T.if_then_else(i < 16, A[i], T.float32(0))
            if i < 16: B[i] = A[i]
            map
            B[i] = T.Select(A[i] < A[0], A[i], A[0])
            if A[i] < A[0]: B[i] = A[i]
        """),
        by_default=False,
    ),
)

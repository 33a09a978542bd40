"""Conditional Statement Operations: comparisons replaced by others.

Every comparison is a site, wherever it stands: in ``if`` statements, ``if_then_else``, Select and block
predicates. So are min and max, which decide between their arguments by a comparison that is not written out.
"""

from __future__ import annotations

from typing import Any

from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.literals import element_type

_COMPARISONS: dict[str, Any] = {
    "lt": prim.LT,
    "le": prim.LE,
    "gt": prim.GT,
    "ge": prim.GE,
    "eq": prim.EQ,
    "ne": prim.NE,
}
_NAMES = tuple(_COMPARISONS)
_EQUALITIES = (prim.EQ, prim.NE)

DECIDING_NODES = (*_COMPARISONS.values(), prim.Max, prim.Min)


def as_comparison(node: Any) -> Any:
    """The comparison that decides a node: itself, or the one that a min or max is lowered to."""
    if isinstance(node, prim.Max):
        return prim.GT(node.a, node.b)
    return prim.LT(node.a, node.b) if isinstance(node, prim.Min) else node


def decided_by(node: Any, comparison: Any) -> Any:
    """The node with its deciding comparison replaced; what a min or max chooses between stays as it is."""
    return prim.Select(comparison, node.a, node.b) if isinstance(node, (prim.Max, prim.Min)) else comparison


def _swap(node: Any, parameters: Parameters) -> Any | None:
    comparison = as_comparison(node)
    before, after = (_COMPARISONS[str(parameters[name])] for name in ("from", "to"))
    if before is after or type(comparison) is not before or not _can_compare(comparison, after):
        return None
    return None if _is_harmless(node, after) else decided_by(node, after(comparison.a, comparison.b))


def _can_compare(comparison: Any, after: type) -> bool:
    """Whether the operands have the order that the other comparison asks for: truth values and pointers have none."""
    dtype = element_type(comparison.a)
    return after in _EQUALITIES or (dtype is not None and (dtype.is_integer or dtype.is_float))


def _is_harmless(node: Any, after: type) -> bool:
    """Whether it makes no difference: which of two equal integers a min or max takes (zeros of floats differ)."""
    same_but_for_ties = {prim.Max: prim.GE, prim.Min: prim.LE}.get(type(node))
    return after is same_but_for_ties and element_type(node).is_integer


_PAPER_PAIRS = (("lt", "le"), ("lt", "gt"), ("gt", "lt"), ("gt", "ge"))
_OTHER_PAIRS = tuple(
    (before, after) for before in _NAMES for after in _NAMES if before != after and (before, after) not in _PAPER_PAIRS
)

_IF = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        if i {} 8:
            B[i] = A[i]
"""
_RELU = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = {}
"""
_PADDING_UNDER_A_PREDICATE = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((18,), "float32")):
    for i, j in T.grid(5, 4):
        with T.sblock("pad"):
            vi = T.axis.spatial(18, i * 4 + j)
            T.where(i * 4 + j {} 18)
            T.reads(A[vi - 1])
            T.writes(B[vi])
            B[vi] = T.if_then_else(1 <= vi and vi {} 17, A[vi - 1], T.float32(0))
"""

SWAP_COMPARE = Operator(
    name="tir.swap-compare",
    slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
    category=Category.CONDITIONAL,
    description="replaces a comparison by another one; max(a, b) counts as a > b and min(a, b) as a < b",
    rule=TirRule(DECIDING_NODES, _swap),
    parameters=(
        Parameter("from", "the comparison that is replaced", choices=_NAMES),
        Parameter("to", "the comparison that takes its place", choices=_NAMES),
    ),
    variants=tuple({"from": before, "to": after} for before, after in _PAPER_PAIRS + _OTHER_PAIRS),
    examples=(
        Example(_IF.format("<"), _IF.format("<="), {"from": "lt", "to": "le"}),
        Example(
            _RELU.format("T.max(A[i], T.float32(0))"),
            _RELU.format("T.Select(A[i] < T.float32(0), A[i], T.float32(0))"),
            {"from": "gt", "to": "lt"},
        ),
        Example(
            _PADDING_UNDER_A_PREDICATE.format("<", "<"),
            _PADDING_UNDER_A_PREDICATE.format("<=", "<="),
            {"from": "lt", "to": "le"},
        ),
    ),
    undefined_behaviour=True,
)

OPERATORS = (SWAP_COMPARE,)

"""Conditional Statement Operations: comparisons replaced and their thresholds moved."""

from __future__ import annotations

from typing import Any

from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule

_COMPARISONS: dict[str, type] = {
    "lt": prim.LT,
    "le": prim.LE,
    "gt": prim.GT,
    "ge": prim.GE,
    "eq": prim.EQ,
    "ne": prim.NE,
}
_NAMES = tuple(_COMPARISONS)


def _as_comparison(node: Any) -> Any:
    """The comparison that decides a node: itself, or the one that a min or max is lowered to."""
    if isinstance(node, prim.Max):
        return prim.GT(node.a, node.b)
    return prim.LT(node.a, node.b) if isinstance(node, prim.Min) else node


def _decided_by(node: Any, comparison: Any) -> Any:
    """The node with its deciding comparison replaced."""
    return prim.Select(comparison, node.a, node.b) if isinstance(node, (prim.Max, prim.Min)) else comparison


def _swap(node: Any, parameters: Parameters) -> Any | None:
    comparison = _as_comparison(node)
    before, after = (_COMPARISONS[str(parameters[name])] for name in ("from", "to"))
    if before is after or type(comparison) is not before:
        return None
    return _decided_by(node, after(comparison.a, comparison.b))


_PAPER_PAIRS = (("lt", "le"), ("lt", "gt"), ("gt", "lt"), ("gt", "ge"))
_OTHER_PAIRS = tuple(
    (before, after)
    for before in _NAMES
    for after in _NAMES
    if before != after and (before, after) not in _PAPER_PAIRS
)

SWAP_COMPARE = Operator(
    name="tir.swap-compare",
    slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
    category=Category.CONDITIONAL,
    description="replaces a comparison by another one; max(a, b) counts as a > b and min(a, b) as a < b",
    rule=TirRule((*_COMPARISONS.values(), prim.Max, prim.Min), _swap),
    parameters=(
        Parameter("from", "the comparison that is replaced", choices=_NAMES),
        Parameter("to", "the comparison that takes its place", choices=_NAMES),
    ),
    variants=tuple({"from": before, "to": after} for before, after in _PAPER_PAIRS + _OTHER_PAIRS),
    examples=(
        Example(
            before="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        if i < 8:
            B[i] = A[i]
""",
            after="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        if i <= 8:
            B[i] = A[i]
""",
            parameters={"from": "lt", "to": "le"},
        ),
    ),
    undefined_behaviour=True,
)

OPERATORS = (SWAP_COMPARE,)

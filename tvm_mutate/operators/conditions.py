"""Conditional Statement Operations: comparisons replaced by others.

Every comparison is a site, wherever it stands: in ``if`` statements, ``if_then_else``, Select and block
predicates. So are min and max, which decide between their arguments by a comparison that is not written out.
"""

from __future__ import annotations

from typing import Any

from tvm.ir import Call, prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.parameters import replacing, replacing_others
from tvm_mutate.operators.tir_nodes import element_type

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
_RUNTIME_CALLS = "tirx.TVMBackend"

DECIDING_NODES = (*_COMPARISONS.values(), prim.Max, prim.Min)


def as_comparison(node: Any) -> Any | None:
    """The comparison that decides a node: itself, or the one that a min or max is lowered to.

    None for the checks of return codes that TVM puts around its own run-time calls: they are not the kernel's.
    """
    if isinstance(node.a, Call) and str(getattr(node.a.op, "name", "")).startswith(_RUNTIME_CALLS):
        return None
    if isinstance(node, prim.Max):
        return prim.GT(node.a, node.b)
    return prim.LT(node.a, node.b) if isinstance(node, prim.Min) else node


def decided_by(node: Any, comparison: Any) -> Any:
    """The node with its deciding comparison replaced; what a min or max chooses between stays as it is."""
    return prim.Select(comparison, node.a, node.b) if isinstance(node, (prim.Max, prim.Min)) else comparison


def _swap(node: Any, parameters: Parameters) -> Any | None:
    comparison = as_comparison(node)
    before, after = (_COMPARISONS[str(parameters[name])] for name in ("from", "to"))
    if before is after or not isinstance(comparison, before) or _is_harmless(node, after):
        return None
    if after not in _EQUALITIES and not compares_numbers(comparison):
        return None
    return decided_by(node, after(comparison.a, comparison.b))


def compares_numbers(comparison: Any) -> bool:
    """Whether the operands are integers or floats, and not truth values or pointers, which have no order."""
    dtype = element_type(comparison.a)
    return dtype is not None and (dtype.is_integer or dtype.is_float)


def _is_harmless(node: Any, after: type) -> bool:
    """Whether it makes no difference: which of two equal integers a min or max takes (zeros of floats differ)."""
    same_but_for_ties = {prim.Max: prim.GE, prim.Min: prim.LE}.get(type(node))
    return after is same_but_for_ties and element_type(node).is_integer


_PAPER_PAIRS = (("lt", "le"), ("lt", "gt"), ("gt", "lt"), ("gt", "ge"))
# TVM writes most guards with <=, which the paper's pairs leave out.
_DEFAULT_PAIRS = (*_PAPER_PAIRS, ("le", "lt"), ("le", "gt"))

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
    fault="a boundary condition that is off by one or turned round (incorrect code logic, Shen et al. 2021)",
    paper=True,
    slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
    category=Category.CONDITIONAL,
    description="replaces a comparison by another one; max(a, b) counts as a > b and min(a, b) as a < b",
    rule=TirRule(DECIDING_NODES, _swap),
    parameters=(
        Parameter("from", "the comparison that is replaced", choices=_NAMES),
        Parameter("to", "the comparison that takes its place", choices=_NAMES),
    ),
    variants=replacing(_DEFAULT_PAIRS),
    more_variants=replacing_others(_NAMES, _DEFAULT_PAIRS),
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

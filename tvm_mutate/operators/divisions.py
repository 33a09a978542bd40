"""Kernel Expressions: integer divisions that round the other way."""

from __future__ import annotations

from typing import Any

from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import element_type

_TRUNCATED = {prim.FloorDiv: prim.Div, prim.FloorMod: prim.Mod}
_OTHERS = {"floor": _TRUNCATED, "truncated": {after: before for before, after in _TRUNCATED.items()}}


def _swap(node: Any, parameters: Parameters) -> Any | None:
    other = _OTHERS[str(parameters["from"])].get(type(node))
    return other(node.a, node.b) if other is not None and element_type(node).is_integer else None


_SCRIPT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "int32"), B: T.Buffer((16,), "int32")):
    for i in range(16):
        B[i] = {}
"""

SWAP_DIVISION = Operator(
    name="tir.swap-division",
    fault="floor division lowered as C's, wrong for negative numbers (incorrect code logic, Shen et al. 2021; "
    "TVM's src/target/intrin_rule and LowerIntrin)",
    # After the finalizers there is no floor division any more, and code generators refuse it.
    slots=(Slot.KERNEL, Slot.LOWERED),
    category=Category.EXPRESSIONS,
    description="exchanges integer division and remainder that round down for those that round towards zero; "
    "they differ for negative numbers only, which indices hardly ever are",
    rule=TirRule(tuple(kind for kinds in _OTHERS.values() for kind in kinds), _swap),
    parameters=(Parameter("from", "how the division rounds that is replaced", "floor", choices=tuple(_OTHERS)),),
    variants=({"from": "floor"},),
    more_variants=({"from": "truncated"},),
    examples=(
        Example(_SCRIPT.format("A[i] // 4 + A[0] % 4"), _SCRIPT.format("T.Div(A[i], 4) + T.truncmod(A[0], 4)")),
        Example(_SCRIPT.format("T.truncmod(A[i], 4)"), _SCRIPT.format("A[i] % 4"), {"from": "truncated"}),
    ),
    # A remainder that is negative may be an index.
    undefined_behaviour=True,
    by_default=False,
)

OPERATORS = (SWAP_DIVISION,)

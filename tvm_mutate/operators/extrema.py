"""Kernel Expressions: minima and maxima exchanged."""

from __future__ import annotations

from typing import Any

from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import element_type

_EXTREMA = {"max": (prim.Max, prim.Min), "min": (prim.Min, prim.Max)}


def _swap(node: Any, parameters: Parameters) -> Any | None:
    before, after = _EXTREMA[str(parameters["from"])]
    if not isinstance(node, before) or not element_type(node).is_float:
        return None
    return after(node.a, node.b)


_SCRIPT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = {}
"""

SWAP_EXTREMUM = Operator(
    name="tir.swap-extremum",
    fault="a reduction or clip that is lowered with the opposite combiner (incorrect code logic, Shen et al. 2021)",
    slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
    category=Category.EXPRESSIONS,
    description="replaces a floating-point maximum by a minimum or the reverse; tir.swap-compare of gt and lt "
    "gives the same values, but for NaN and signed zeros",
    rule=TirRule((prim.Max, prim.Min), _swap),
    parameters=(Parameter("from", "the one that is replaced", "max", choices=tuple(_EXTREMA)),),
    variants=({"from": "max"}, {"from": "min"}),
    examples=(
        Example(_SCRIPT.format("T.max(A[i], T.float32(0))"), _SCRIPT.format("T.min(A[i], T.float32(0))")),
        Example(
            _SCRIPT.format("T.min(T.max(A[i], T.float32(0)), T.float32(6))"),
            _SCRIPT.format("T.max(T.max(A[i], T.float32(0)), T.float32(6))"),
            {"from": "min"},
        ),
    ),
    by_default=False,
)

OPERATORS = (SWAP_EXTREMUM,)

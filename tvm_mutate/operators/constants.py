"""Kernel Expressions: floating-point constants changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import another_constant

_CHANGES: dict[str, Callable[[float], float]] = {
    "increment": lambda value: value + 1,
    "decrement": lambda value: value - 1,
    "negate": lambda value: -value,
    "zero": lambda _value: 0.0,
}


def _perturb(constant: Any, parameters: Parameters) -> Any | None:
    return another_constant(constant, _CHANGES[str(parameters["change"])](float(constant.value)))


_SCRIPT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = {}
"""
_MAX_POOL = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((16,), "float32")):
    for i, k in T.grid(16, 8):
        with T.sblock("pool"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.float32({})
            B[vi] = T.max(B[vi], A[vi, vk])
"""

PERTURB_CONSTANT = Operator(
    name="tir.perturb-constant",
    fault="a wrong constant after folding, or a wrong identity of a reduction (incorrect code logic, Shen et al. 2021)",
    slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
    category=Category.EXPRESSIONS,
    description="adds one to a floating-point constant, takes one away, turns its sign, or makes it zero; "
    "constants that come out the same are no sites",
    rule=TirRule((prim.FloatImm,), _perturb),
    parameters=(Parameter("change", "what becomes of the constant", "increment", choices=tuple(_CHANGES)),),
    variants=({"change": "increment"}, {"change": "negate"}),
    # TVM refuses to fold a division by zero, and the constants that are not zero are often divisors.
    more_variants=({"change": "decrement"}, {"change": "zero"}),
    examples=(
        Example(_SCRIPT.format("T.max(A[i], T.float32(0))"), _SCRIPT.format("T.max(A[i], T.float32(1))")),
        Example(_MAX_POOL.format("-1e30"), _MAX_POOL.format("1e30"), {"change": "negate"}),
        Example(
            _SCRIPT.format("T.min(A[i], T.float32(6)) + T.float32(0)"),
            _SCRIPT.format("T.min(A[i], T.float32(0)) + T.float32(0)"),
            {"change": "zero"},
        ),
    ),
)

OPERATORS = (PERTURB_CONSTANT,)

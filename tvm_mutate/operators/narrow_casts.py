"""Kernel Expressions: operands that pass through a narrower type."""

from __future__ import annotations

from typing import Any

from tvm.ir import TensorLoad, prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import NARROW_TYPES, cast_through, element_type


def _narrow(value: Any, parameters: Parameters) -> Any | None:
    return cast_through(value, str(parameters["type"])) if element_type(value) == "float32" else None


_SCRIPT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), W: T.Buffer((8,), "float32"), B: T.Buffer((16,), "float32")):
    for i, k in T.grid(16, 8):
        with T.sblock("dot"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = B[vi] + {}
"""

NARROW_CAST = Operator(
    name="tir.narrow-cast",
    fault="an operand or product that is kept in a narrower type than the sum (type problems, the most frequent "
    "class of Shen et al. 2021; mixed precision)",
    slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
    category=Category.EXPRESSIONS,
    description="converts a float32 value that is loaded, or a product of two, to a narrower type and back within "
    "an expression",
    rule=TirRule((TensorLoad, prim.Mul), _narrow),
    parameters=(Parameter("type", "the narrower type that the value goes through", "float16", choices=NARROW_TYPES),),
    variants=({"type": "float16"},),
    # Beyond the range of an integer type the device's conversion decides what comes out.
    more_variants=tuple({"type": name} for name in NARROW_TYPES[1:]),
    examples=(
        Example(
            _SCRIPT.format("A[vi, vk] * W[vk]"),
            _SCRIPT.format('T.Cast("float32", T.Cast("float16", A[vi, vk] * W[vk]))'),
            sites="3",
        ),
        Example(
            _SCRIPT.format("A[vi, vk] * W[vk]"),
            _SCRIPT.format('T.Cast("float32", T.Cast("int8", A[vi, vk])) * W[vk]'),
            {"type": "int8"},
            sites="1",
        ),
    ),
)

OPERATORS = (NARROW_CAST,)

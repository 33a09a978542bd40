"""Code Generation: vectors and conversions as code generators get them, with other lanes or other bits."""

from __future__ import annotations

from typing import Any

from tvm.ir import Call, Op, prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import constant_like, element_type, literal


def _other_lanes(ramp: Any, parameters: Parameters) -> Any | None:
    if literal(ramp.stride) != 1:
        return None
    if parameters["to"] == "reversed":
        last = ramp.base + constant_like(ramp.base, int(ramp.lanes) - 1)
        return prim.Ramp(last, constant_like(ramp.stride, -1), ramp.lanes)
    return prim.Ramp(ramp.base, constant_like(ramp.stride, 2), ramp.lanes)


def _same_bits(cast: Any, _parameters: Parameters) -> Any | None:
    before, after = element_type(cast.value), element_type(cast)
    if before is None or before.bits != after.bits or before.is_float == after.is_float or before.is_bool:
        return None
    return Call(Op.get("tirx.reinterpret"), [cast.value], ret_ty=cast.ty)


def _vector(lanes: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(4):
        B[T.Ramp(i * 4, 1, 4)] = A[{lanes}] + A[T.Ramp(0, 2, 4)]
"""


def _conversion(value: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "int32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = {value}
"""


VECTOR_LANES = Operator(
    name="codegen.vector-lanes",
    fault="a vector access that takes its elements in another order or from farther apart (incorrect index, Shen et "
    "al. 2021; VectorizeLoop, and the vector accesses of TVM's code generators)",
    slots=(Slot.CODEGEN,),
    category=Category.CODE_GENERATION,
    description="accesses every second element with a vector, or the elements backwards, where they lie side by side",
    rule=TirRule((prim.Ramp,), _other_lanes),
    parameters=(Parameter("to", "which elements take the place", choices=("reversed", "spread")),),
    variants=({"to": "reversed"}, {"to": "spread"}),
    examples=(
        Example(_vector("T.Ramp(i * 4, 1, 4)"), _vector("T.Ramp(i * 4 + 3, -1, 4)"), {"to": "reversed"}, sites="0"),
        Example(_vector("T.Ramp(i * 4, 1, 4)"), _vector("T.Ramp(i * 4, 2, 4)"), {"to": "spread"}, sites="0"),
    ),
    # Elements that are farther apart may lie behind the buffer.
    undefined_behaviour=True,
    by_default=False,
)

KEEP_BITS = Operator(
    name="codegen.keep-bits",
    fault="a conversion between integers and floats generated as one that keeps the bits (incorrect type conversion, "
    "Shen et al. 2021)",
    slots=(Slot.CODEGEN,),
    category=Category.CODE_GENERATION,
    description="takes the bits of an integer for those of a float of the same width, and the other way, where the "
    "value was to be converted",
    rule=TirRule((prim.Cast,), _same_bits),
    examples=(Example(_conversion('T.Cast("float32", A[i])'), _conversion('T.reinterpret("float32", A[i])')),),
    # What comes out may be an index.
    undefined_behaviour=True,
    by_default=False,
)

OPERATORS = (VECTOR_LANES, KEEP_BITS)

"""Arithmetic Types: values stored through a narrower type."""

from __future__ import annotations

from math import isfinite
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.literals import converted, element_type, literal

_TYPES = ("float16", "int32", "int16", "int8")


def _store_through(store: Any, parameters: Parameters) -> Any | None:
    wide = store.value.ty.dtype
    if element_type(store.value) != "float32":
        return None
    narrow = str(parameters["type"])
    value = literal(store.value)
    if value is not None and (converted(value, narrow) == value or not isfinite(converted(value, narrow))):
        # An initial zero, say, which every type holds; or the lowest float32, of which TVM refuses the conversion.
        return None
    # The nodes themselves: helpers that fold casts would take the narrow type away again.
    through = prim.Cast(str(wide), prim.Cast(str(tvm_ffi.dtype(narrow).with_lanes(wide.lanes)), store.value))
    return tirx.BufferStore(store.buffer, through, store.indices)


STORE_THROUGH = Operator(
    name="tir.store-through",
    fault="a value that passes through a narrower type (type problems, the most frequent class of Shen et al. 2021)",
    paper=True,
    slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
    category=Category.ARITHMETIC_TYPES,
    description="converts a float32 value to a narrower type and back before it is stored; beyond the range "
    "of an integer type the device's conversion decides what comes out",
    rule=TirRule((tirx.BufferStore,), _store_through),
    parameters=(Parameter("type", "the narrower type that the value goes through", "float16", choices=_TYPES),),
    variants=tuple({"type": name} for name in _TYPES),
    examples=(
        Example(
            before="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = A[i]
""",
            after="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = T.Cast("float32", T.Cast("int8", A[i]))
""",
            parameters={"type": "int8"},
        ),
        Example(
            before="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((16,), "float32")):
    for i, k in T.grid(16, 8):
        with T.sblock("sum"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = B[vi] + A[vi, vk]
""",
            after="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((16,), "float32")):
    for i, k in T.grid(16, 8):
        with T.sblock("sum"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = T.Cast("float32", T.Cast("float16", B[vi] + A[vi, vk]))
""",
        ),
    ),
)

OPERATORS = (STORE_THROUGH,)

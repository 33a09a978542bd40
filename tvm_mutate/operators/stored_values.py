"""Memory & Initialisation: stores left out or run twice, stored values with a wrong bit or none at all."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule, Value
from tvm_mutate.operators.tir_nodes import (
    accumulated,
    another_constant,
    constant_like,
    element_type,
    literal,
    nothing,
    storing,
)

_SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)
_LATE_SLOTS = (Slot.LOWERED, Slot.CODEGEN)  # before, TVM refuses buffers that are not written or read any more
_FORMATS = {"float16": ("e", "H"), "float32": ("f", "I"), "float64": ("d", "Q")}


def _drop(_store: Any, _parameters: Parameters) -> Any:
    return nothing()


def _repeat(store: Any, _parameters: Parameters) -> Any | None:
    # A maximum that is taken twice is the same maximum, and so is any other value that is stored again.
    repeats = accumulated(store, (prim.Add, prim.Mul)) is not None
    return tirx.SeqStmt([store, store]) if repeats else None


def _zero(store: Any, _parameters: Parameters) -> Any | None:
    dtype = element_type(store.value)
    if dtype is None or not (dtype.is_float or dtype.is_integer) or literal(store.value) == 0:
        return None
    return storing(store, constant_like(store.value, 0))


def _flip(store: Any, parameters: Parameters) -> Any | None:
    dtype, bit = element_type(store.value), int(parameters["bit"])
    if str(dtype) not in _FORMATS or not 0 <= bit < dtype.bits:
        return None
    value = literal(store.value)
    if value is not None:
        return storing(store, another_constant(store.value, _flipped(value, str(dtype), bit)))
    unsigned = tvm_ffi.dtype(f"uint{dtype.bits}").with_lanes(store.value.ty.dtype.lanes)
    bits = tirx.reinterpret(str(unsigned), store.value) ^ prim.const(1 << bit, unsigned)
    return storing(store, tirx.reinterpret(str(store.value.ty.dtype), bits))


def _flipped(value: float, dtype: str, bit: int) -> float:
    as_float, as_integer = _FORMATS[dtype]
    (bits,) = struct.unpack(as_integer, struct.pack(as_float, value))
    return float(struct.unpack(as_float, struct.pack(as_integer, bits ^ (1 << bit)))[0])


def _example(before: str, after: str, parameters: Mapping[str, Value] | None = None) -> Example:
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        {}
"""
    return Example(script.format(before), script.format(after), parameters or {})


def _reduction(*update: str) -> str:
    return """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), B: T.Buffer((16,), "float32")):
    for i, k in T.grid(16, 8):
        with T.sblock("sum"):
            vi, vk = T.axis.remap("SR", [i, k])
            T.reads(A[vi, vk])
            T.writes(B[vi])
            with T.init():
                B[vi] = T.float32(0)
""" + "".join(f"            {line}\n" for line in update)


DROP_STORE = Operator(
    name="tir.drop-store",
    fault="a store that a pass takes to be dead, as RemoveNoOp or StorageRewrite might (incorrect code logic, "
    "Shen et al. 2021)",
    slots=_LATE_SLOTS,
    category=Category.MEMORY,
    description="leaves a store out, so that its element keeps what it held, or is never written",
    rule=TirRule((tirx.BufferStore,), _drop),
    examples=(
        _example("B[i] = A[i]", "T.evaluate(0)"),
        Example(
            _reduction("B[vi] = B[vi] + A[vi, vk]"),
            _reduction("T.evaluate(0)"),
            sites="1",
        ),
    ),
    undefined_behaviour=True,
    by_default=False,
)

REPEAT_STORE = Operator(
    name="tir.repeat-store",
    fault="an update that runs twice, as by overlapping tiles or a loop peeled without its tail being shortened "
    "(incorrect code logic, Shen et al. 2021)",
    slots=(Slot.KERNEL, Slot.LOWERED),
    category=Category.MEMORY,
    description="runs a store twice that adds to or multiplies what its element holds",
    rule=TirRule((tirx.BufferStore,), _repeat),
    examples=(
        _example("B[i] = B[i] * A[i]", "B[i] = B[i] * A[i]\n        B[i] = B[i] * A[i]"),
        Example(
            _reduction("B[vi] = B[vi] + A[vi, vk]"),
            _reduction("B[vi] = B[vi] + A[vi, vk]", "B[vi] = B[vi] + A[vi, vk]"),
        ),
    ),
)

STORE_ZERO = Operator(
    name="tir.store-zero",
    fault="a value that is lost on its way to memory, as by a wrong predicate or a fragment that is never filled "
    "(incorrect code logic, Shen et al. 2021)",
    slots=_LATE_SLOTS,
    category=Category.MEMORY,
    description="stores zero instead of the value",
    rule=TirRule((tirx.BufferStore,), _zero),
    examples=(
        _example("B[i] = A[i]", "B[i] = T.float32(0)"),
        Example(_reduction("B[vi] = B[vi] + A[vi, vk]"), _reduction("B[vi] = T.float32(0)")),
    ),
)

FLIP_BIT = Operator(
    name="tir.flip-bit",
    fault="a single wrong bit, as by a bad reinterpretation of a type, or a fault of the hardware (type problems, "
    "Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="flips one bit of a stored floating-point value; in float32 bit 31 is the sign, 30 to 23 are the "
    "exponent and 22 to 0 the mantissa",
    rule=TirRule((tirx.BufferStore,), _flip),
    parameters=(Parameter("bit", "the bit that is flipped, 0 the lowest", 31),),
    variants=({"bit": 31}, {"bit": 30}, {"bit": 23}, {"bit": 22}),
    more_variants=({"bit": 26}, {"bit": 15}, {"bit": 10}, {"bit": 0}),
    examples=(
        _example(
            "B[i] = A[i]",
            'B[i] = T.reinterpret("float32", T.bitwise_xor(T.reinterpret("uint32", A[i]), T.uint32(2147483648)))',
        ),
        _example("B[i] = T.float32(0)", "B[i] = T.float32(2)", {"bit": 30}),
        _example("B[i] = T.float32(1)", "B[i] = T.float32(1.5)", {"bit": 22}),
    ),
)

OPERATORS = (DROP_STORE, REPEAT_STORE, STORE_ZERO, FLIP_BIT)

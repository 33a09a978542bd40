"""Kernel Variables & Stores: stored values converted, offset and scaled, store indices shifted."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from tvm import tirx
from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Magnitude, Operator, Parameter, Parameters, Slot, TirRule, Value
from tvm_mutate.operators.bounded_indices import moved_within
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.parameters import STEPS
from tvm_mutate.operators.tir_nodes import (
    NARROW_TYPES,
    another_constant,
    cast_through,
    constant_like,
    converted,
    element_type,
    literal,
    storing,
)

_SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)
_ULPS, _EPSILONS = Magnitude(1, 2**40, logarithmic=True), Magnitude(1e-12, 1e12, logarithmic=True)
_MANTISSA_BITS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}


def _store_through(store: Any, parameters: Parameters) -> Any | None:
    if element_type(store.value) != "float32":
        return None
    narrow = str(parameters["type"])
    value = literal(store.value)
    if value is not None and (converted(value, narrow) == value or not isfinite(converted(value, narrow))):
        # An initial zero, say, which every type holds; or the lowest float32, of which TVM refuses the conversion.
        return None
    return storing(store, cast_through(store.value, narrow))


def _epsilon(store: Any, parameters: Parameters) -> float | None:
    """The signed size of the fault in the type of the stored value; None for a type that has no such size."""
    bits = _MANTISSA_BITS.get(str(element_type(store.value)))
    if bits is None:
        return None
    size = float(parameters["epsilon"]) or int(parameters["ulps"]) * 2.0**-bits
    return -size if parameters["sign"] == "minus" else size


def _offset(store: Any, parameters: Parameters) -> Any | None:
    epsilon = _epsilon(store, parameters)
    if epsilon is None:
        return None
    value = literal(store.value)
    if value is not None:
        return storing(store, another_constant(store.value, value + epsilon))
    size = constant_like(store.value, abs(epsilon))
    node = prim.Sub if epsilon < 0 else prim.Add
    return storing(store, None if size is None else node(store.value, size))


def _scale(store: Any, parameters: Parameters) -> Any | None:
    epsilon = _epsilon(store, parameters)
    if epsilon is None:
        return None
    value = literal(store.value)
    if value is not None:
        return storing(store, another_constant(store.value, value * (1 + epsilon)))
    factor = constant_like(store.value, 1 + epsilon)
    return storing(store, None if factor is None else prim.Mul(store.value, factor))


def _shift_index(store: Any, parameters: Parameters) -> Any | None:
    by = int(parameters["by"])
    extent = literal(store.buffer.shape[-1]) if len(store.indices) else None
    if extent is None or extent < 2 or by == 0:
        return None
    index = store.indices[-1]
    if index.ty.dtype.lanes > 1:
        return None
    shifted = moved_within(index, by, int(extent))
    if shifted is None:
        return None
    return tirx.BufferStore(store.buffer, store.value, [*store.indices[:-1], shifted])


def _parameters(sign: str) -> tuple[Parameter, ...]:
    return (
        Parameter("sign", "whether epsilon is added or taken away", sign, choices=("minus", "plus")),
        Parameter("ulps", "epsilon in units of the last place of 1.0 in the stored type", 4096, magnitude=_ULPS),
        Parameter("epsilon", "epsilon itself, used instead of ulps unless it is zero", 0.0, magnitude=_EPSILONS),
    )


def _example(before: str, after: str, parameters: Mapping[str, Value]) -> Example:
    """An example in one loop over a vector of 16 float32 numbers."""
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        {}
"""
    return Example(script.format(before), script.format(after), parameters)


STORE_THROUGH = Operator(
    name="tir.store-through",
    fault="a value that passes through a narrower type (type problems, the most frequent class of Shen et al. 2021)",
    paper=True,
    slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
    category=Category.ARITHMETIC_TYPES,
    description="converts a float32 value to a narrower type and back before it is stored; beyond the range "
    "of an integer type the device's conversion decides what comes out",
    rule=TirRule((tirx.BufferStore,), _store_through),
    parameters=(Parameter("type", "the narrower type that the value goes through", "float16", choices=NARROW_TYPES),),
    variants=tuple({"type": name} for name in NARROW_TYPES),
    examples=kernel_examples("""
        map | type=int8
        B[i] = A[i]
        B[i] = T.Cast("float32", T.Cast("int8", A[i]))
        dot
        B[vi] = B[vi] + A[vi, vk]
        B[vi] = T.Cast("float32", T.Cast("float16", B[vi] + A[vi, vk]))
    """),
)

OFFSET_STORE = Operator(
    name="tir.offset-store",
    fault="an inexact value, as by reassociation or a wrong rounding (numerical problems, Shen et al. 2021)",
    paper=True,
    slots=_SLOTS,
    category=Category.KERNEL_STORES,
    description="adds epsilon to a stored floating-point value, or takes it away",
    rule=TirRule((tirx.BufferStore,), _offset),
    parameters=_parameters("minus"),
    variants=(
        {"sign": "minus", "ulps": 4096},
        {"sign": "plus", "ulps": 4096},
        {"sign": "minus", "ulps": 65536},
        {"sign": "plus", "ulps": 65536},
        {"sign": "minus", "epsilon": 1e-8},
    ),
    examples=(
        _example("B[i] = A[i]", "B[i] = A[i] - T.float32(0.00048828125)", {"sign": "minus"}),
        _example(
            "B[i] = T.max(A[i], T.float32(0))",
            "B[i] = T.max(A[i], T.float32(0)) + T.float32(0.0078125)",
            {"sign": "plus", "ulps": 65536},
        ),
        _example("B[i] = A[i]", "B[i] = A[i] - T.float32(1e-08)", {"epsilon": 1e-8}),
    ),
)

SCALE_STORE = Operator(
    name="tir.scale-store",
    fault="an inexact factor, as by a folded scale (numerical problems, Shen et al. 2021)",
    paper=True,
    slots=_SLOTS,
    category=Category.KERNEL_STORES,
    description="multiplies a stored floating-point value by 1 + epsilon or 1 - epsilon; with epsilon=1e-8 "
    "that factor rounds to 1 in float32, so nothing changes",
    rule=TirRule((tirx.BufferStore,), _scale),
    parameters=_parameters("plus"),
    variants=(
        {"sign": "plus", "ulps": 4096},
        {"sign": "minus", "ulps": 4096},
        {"sign": "plus", "ulps": 65536},
        {"sign": "plus", "epsilon": 1e-8},
    ),
    examples=(
        _example("B[i] = A[i]", "B[i] = A[i] * T.float32(1.00048828125)", {}),
        _example(
            "B[i] = A[i] + T.float32(1)",
            "B[i] = (A[i] + T.float32(1)) * T.float32(0.99951171875)",
            {"sign": "minus"},
        ),
    ),
)

SHIFT_STORE_INDEX = Operator(
    name="tir.shift-store-index",
    fault="an index that is one off after flattening or vectorisation (incorrect index, Shen et al. 2021)",
    paper=True,
    slots=_SLOTS,
    category=Category.KERNEL_STORES,
    description="shifts the last index of a store, held within the buffer, so that an element at its edge is "
    "never written",
    rule=TirRule((tirx.BufferStore,), _shift_index),
    parameters=(Parameter("by", "how far the index moves", -1, magnitude=STEPS),),
    variants=({"by": -1}, {"by": 1}),
    examples=(
        _example("B[i] = A[i]", "B[T.max(i - 1, 0)] = A[i]", {"by": -1}),
        _example("B[i] = A[i]", "B[T.min(i + 1, 15)] = A[i]", {"by": 1}),
        _example("B[3] = A[i]", "B[2] = A[i]", {"by": -1}),
    ),
)

OPERATORS = (STORE_THROUGH, OFFSET_STORE, SCALE_STORE, SHIFT_STORE_INDEX)

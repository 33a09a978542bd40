"""Stores: values that are converted, inexact, lost or damaged, and reductions that start or accumulate wrongly."""

from __future__ import annotations

import struct
from functools import partial
from math import isfinite
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import prim
from tvm.s_tir import SBlock

from tvm_mutate.mutant import Category, Magnitude, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.indices import shift
from tvm_mutate.operators.parameters import STEPS, choice
from tvm_mutate.operators.tir_nodes import (
    accumulated,
    another_constant,
    cast_through,
    constant_like,
    converted,
    element_type,
    literal,
    node_with,
    nothing,
    storing,
)

_ULPS, _EPSILONS = Magnitude(1, 2**40, logarithmic=True), Magnitude(1e-12, 1e12, logarithmic=True)
_MANTISSA_BITS = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
_FORMATS = {"float16": ("e", "H"), "float32": ("f", "I"), "float64": ("d", "Q")}
_DECOMPOSED = "_init"  # TVM's decompose_reduction ends the name of the initialising block with this suffix
_INITIAL_VALUES = {"zero": 0, "one": 1, "minus-one": -1, "lowest": None, "highest": None}


def _store_through(store: Any, parameters: Parameters) -> Any | None:
    if element_type(store.value) != "float32":
        return None
    narrow = str(parameters["type"])
    value = literal(store.value)
    if value is not None and (converted(value, narrow) == value or not isfinite(converted(value, narrow))):
        return None  # for example zero, which every type holds, or the lowest float32, which TVM refuses to convert
    return storing(store, cast_through(store.value, narrow))


def _inexact(store: Any, parameters: Parameters, scales: bool) -> Any | None:
    """The store with epsilon added to its value, or with its value multiplied by 1 + epsilon."""
    bits = _MANTISSA_BITS.get(str(element_type(store.value)))
    if bits is None:
        return None
    size = float(parameters["epsilon"]) or int(parameters["ulps"]) * 2.0**-bits
    epsilon = -size if parameters["sign"] == "minus" else size
    value = literal(store.value)
    if value is not None:
        return storing(store, another_constant(store.value, value * (1 + epsilon) if scales else value + epsilon))
    operand = constant_like(store.value, 1 + epsilon if scales else abs(epsilon))
    node = prim.Mul if scales else prim.Sub if epsilon < 0 else prim.Add
    return storing(store, None if operand is None else node(store.value, operand))


def _repeat(store: Any, _parameters: Parameters) -> Any | None:
    # A second update by the same maximum changes nothing, and neither does a second store of the same value.
    repeats = accumulated(store, (prim.Add, prim.Mul)) is not None
    return tirx.SeqStmt([store, store]) if repeats else None


def _zero(store: Any, _parameters: Parameters) -> Any | None:
    dtype = element_type(store.value)
    if dtype is None or not (dtype.is_float or dtype.is_integer) or literal(store.value) == 0:
        return None
    return storing(store, constant_like(store.value, 0))


def _flip_bit(store: Any, parameters: Parameters) -> Any | None:
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


def _initialisation(block: Any) -> Any | None:
    """The store that initialises a reduction with a constant; a schedule may have moved it to a block of its own."""
    store = block.init
    if store is None and str(block.name_hint).endswith(_DECOMPOSED):
        store = block.body
    return store if isinstance(store, tirx.BufferStore) and literal(store.value) is not None else None


def _drop_initialisation(block: Any, _parameters: Parameters) -> Any | None:
    if _initialisation(block) is None:
        return None
    return node_with(block, body=nothing()) if block.init is None else node_with(block, init=None)


def _initial_value(block: Any, parameters: Parameters) -> Any | None:
    store = _initialisation(block)
    if store is None:
        return None
    changed = storing(store, another_constant(store.value, _number(str(parameters["to"]), element_type(store.value))))
    if changed is None:
        return None
    return node_with(block, body=changed) if block.init is None else node_with(block, init=changed)


def _number(name: str, dtype: Any) -> int | float:
    number = _INITIAL_VALUES[name]
    if number is not None:
        return number
    limit = tirx.min_value(str(dtype)) if name == "lowest" else tirx.max_value(str(dtype))
    return int(limit.value) if dtype.is_integer else float(limit.value)


def _drop_accumulation(store: Any, _parameters: Parameters) -> Any | None:
    return storing(store, accumulated(store, (prim.Add, prim.Mul, prim.Max, prim.Min)))


def _subtract_accumulation(store: Any, _parameters: Parameters) -> Any | None:
    added = accumulated(store, (prim.Add,))
    if added is None:
        return None
    held = store.value.a if added.same_as(store.value.b) else store.value.b
    return storing(store, prim.Sub(held, added))


def _narrow_accumulator(store: Any, parameters: Parameters) -> Any | None:
    if accumulated(store, (prim.Add,)) is None or element_type(store.value) != "float32":
        return None
    wide = store.value.ty.dtype
    if parameters["type"] == "bfloat16":
        return storing(store, _rounded_to_bfloat16(store.value, wide))
    narrow = str(tvm_ffi.dtype("float16").with_lanes(wide.lanes))
    total = prim.Add(prim.Cast(narrow, store.value.a), prim.Cast(narrow, store.value.b))
    return storing(store, prim.Cast(str(wide), total))


def _rounded_to_bfloat16(value: Any, wide: Any) -> Any:
    """The nearest bfloat16 value, by integer operations: BF16ComputeLegalize would remove conversions."""
    unsigned = tvm_ffi.dtype("uint32").with_lanes(wide.lanes)
    bits = tirx.reinterpret(str(unsigned), value)
    half, odd, upper = (prim.const(number, unsigned) for number in (0x7FFF, 1, 0xFFFF0000))
    rounded = (bits + half + ((bits >> prim.const(16, unsigned)) & odd)) & upper
    return tirx.reinterpret(str(wide), rounded)


def _sizes(sign: str) -> tuple[Parameter, ...]:
    return (
        Parameter("sign", "whether epsilon is added or taken away", sign, choices=("minus", "plus")),
        Parameter("ulps", "epsilon in units of the last place of 1.0 in the stored type", 4096, magnitude=_ULPS),
        Parameter("epsilon", "epsilon itself, used instead of ulps unless it is zero", 0.0, magnitude=_EPSILONS),
    )


_paper_operator = partial(
    Operator, paper=True, slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN), category=Category.KERNEL_STORES
)
# In the kernel slot TVM refuses buffers that are no longer written or read.
_late_operator = partial(Operator, slots=(Slot.LOWERED, Slot.CODEGEN), category=Category.MEMORY)
_update_operator = partial(Operator, slots=(Slot.KERNEL, Slot.LOWERED), category=Category.MEMORY)

OPERATORS = (
    _paper_operator(
        name="tir.store-through",
        fault="a value that passes through a narrower type (type problems, the most frequent class of Shen et al. "
        "2021)",
        category=Category.ARITHMETIC_TYPES,
        description="converts a float32 value to a narrower type and back before it is stored; beyond the range of an "
        "integer type the result depends on the device's conversion",
        rule=TirRule((tirx.BufferStore,), _store_through),
        **choice("type", "the narrower type", "float16 int32 int16 int8", default="float16"),
        examples=kernel_examples("""
            map | type=int8
            B[i] = A[i]
            B[i] = T.Cast("float32", T.Cast("int8", A[i]))
            dot
            B[vi] = B[vi] + A[vi, vk]
            B[vi] = T.Cast("float32", T.Cast("float16", B[vi] + A[vi, vk]))
        """),
    ),
    _paper_operator(
        name="tir.offset-store",
        fault="an inexact value, as by reassociation or a wrong rounding (numerical problems, Shen et al. 2021)",
        description="adds epsilon to a stored floating-point value, or takes it away",
        rule=TirRule((tirx.BufferStore,), partial(_inexact, scales=False)),
        parameters=_sizes("minus"),
        variants=(
            {"sign": "minus", "ulps": 4096},
            {"sign": "plus", "ulps": 4096},
            {"sign": "minus", "ulps": 65536},
            {"sign": "plus", "ulps": 65536},
            {"sign": "minus", "epsilon": 1e-8},
        ),
        examples=kernel_examples("""
            map | sign=minus
            B[i] = A[i]
            B[i] = A[i] - T.float32(0.00048828125)
            map | sign=plus ulps=65536
            B[i] = T.max(A[i], T.float32(0))
            B[i] = T.max(A[i], T.float32(0)) + T.float32(0.0078125)
            map | epsilon=1e-8
            B[i] = A[i]
            B[i] = A[i] - T.float32(1e-08)
        """),
    ),
    _paper_operator(
        name="tir.scale-store",
        fault="an inexact factor, as by a folded scale (numerical problems, Shen et al. 2021)",
        description="multiplies a stored floating-point value by 1 + epsilon or 1 - epsilon; in float32 the factor "
        "rounds to 1 for epsilon=1e-8, so nothing changes",
        rule=TirRule((tirx.BufferStore,), partial(_inexact, scales=True)),
        parameters=_sizes("plus"),
        variants=(
            {"sign": "plus", "ulps": 4096},
            {"sign": "minus", "ulps": 4096},
            {"sign": "plus", "ulps": 65536},
            {"sign": "plus", "epsilon": 1e-8},
        ),
        examples=kernel_examples("""
            map
            B[i] = A[i]
            B[i] = A[i] * T.float32(1.00048828125)
            map | sign=minus
            B[i] = A[i] + T.float32(1)
            B[i] = (A[i] + T.float32(1)) * T.float32(0.99951171875)
        """),
    ),
    _paper_operator(
        name="tir.shift-store-index",
        fault="an index that is one off after flattening or vectorisation (incorrect index, Shen et al. 2021)",
        description="shifts the last index of a store within the buffer, so that an element at the edge of the "
        "buffer is never written",
        rule=TirRule((tirx.BufferStore,), shift),
        parameters=(Parameter("by", "how far the index moves", -1, magnitude=STEPS),),
        variants=({"by": -1}, {"by": 1}),
        examples=kernel_examples("""
            map | by=-1
            B[i] = A[i]
            B[T.max(i - 1, 0)] = A[i]
            map | by=1
            B[i] = A[i]
            B[T.min(i + 1, 15)] = A[i]
            map | by=-1
            B[3] = A[i]
            B[2] = A[i]
        """),
    ),
    _late_operator(
        name="tir.drop-store",
        fault="a store that a pass takes to be dead, as RemoveNoOp or StorageRewrite might (incorrect code logic, "
        "Shen et al. 2021)",
        description="removes a store, so that its element keeps the old value or is never written",
        rule=TirRule((tirx.BufferStore,), lambda _store, _parameters: nothing()),
        examples=kernel_examples("""
            map
            B[i] = A[i]
            T.evaluate(0)
            reduction | sites=1
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vk]
            with T.init(): B[vi] = T.float32(0); T.evaluate(0)
        """),
        undefined_behaviour=True,
        by_default=False,
    ),
    _update_operator(
        name="tir.repeat-store",
        fault="an update that runs twice, as by overlapping tiles or a loop peeled without its tail being shortened "
        "(incorrect code logic, Shen et al. 2021)",
        description="runs a store twice that adds to its element or multiplies its element",
        rule=TirRule((tirx.BufferStore,), _repeat),
        examples=kernel_examples("""
            map
            B[i] = B[i] * A[i]
            B[i] = B[i] * A[i]; B[i] = B[i] * A[i]
            reduction
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vk]
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vk]; B[vi] = B[vi] + A[vi, vk]
        """),
    ),
    _late_operator(
        name="tir.store-zero",
        fault="a value that is lost on its way to memory, as by a wrong predicate or a fragment that is never filled "
        "(incorrect code logic, Shen et al. 2021)",
        description="stores zero instead of the value",
        rule=TirRule((tirx.BufferStore,), _zero),
        examples=kernel_examples("""
            map
            B[i] = A[i]
            B[i] = T.float32(0)
            reduction
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vk]
            with T.init(): B[vi] = T.float32(0); B[vi] = T.float32(0)
        """),
    ),
    Operator(
        name="tir.flip-bit",
        fault="a single wrong bit, as by a bad reinterpretation of a type, or a fault of the hardware (type problems, "
        "Shen et al. 2021)",
        slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN),
        category=Category.MEMORY,
        description="flips one bit of a stored floating-point value; in float32 bit 31 is the sign, 30 to 23 are the "
        "exponent and 22 to 0 the mantissa",
        rule=TirRule((tirx.BufferStore,), _flip_bit),
        parameters=(Parameter("bit", "the bit that is flipped, 0 the lowest", 31),),
        variants=({"bit": 31}, {"bit": 30}, {"bit": 23}, {"bit": 22}),
        more_variants=({"bit": 26}, {"bit": 15}, {"bit": 10}, {"bit": 0}),
        examples=kernel_examples("""
            map
            B[i] = A[i]
            B[i] = T.reinterpret("float32", T.bitwise_xor(T.reinterpret("uint32", A[i]), T.uint32(2147483648)))
            map | bit=30
            B[i] = T.float32(0)
            B[i] = T.float32(2)
            map | bit=22
            B[i] = T.float32(1)
            B[i] = T.float32(1.5)
        """),
    ),
    Operator(
        name="tir.drop-initialisation",
        fault="an accumulator that is never initialised, as where LowerInitBlock or a decomposed reduction goes wrong "
        "(incorrect code logic, Shen et al. 2021)",
        slots=(Slot.KERNEL,),
        category=Category.MEMORY,
        description="removes the initialisation of a reduction, which then starts from the old contents of the memory",
        rule=TirRule((SBlock,), _drop_initialisation),
        examples=kernel_examples("""
            reduction
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vk]
            B[vi] = B[vi] + A[vi, vk]
            decomposed-init
            B[vi] = T.float32(-1)
            T.evaluate(0)
        """),
        undefined_behaviour=True,
        by_default=False,
    ),
    Operator(
        name="tir.initial-value",
        fault="a reduction that starts from the identity of another one, such as max pooling from 0 (incorrect code "
        "logic, Shen et al. 2021)",
        slots=(Slot.KERNEL,),
        category=Category.MEMORY,
        description="starts a reduction from another value",
        rule=TirRule((SBlock,), _initial_value),
        **choice("to", "the value that it starts from", "one zero", "minus-one lowest highest", default="one"),
        examples=kernel_examples("""
            reduction
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vk]
            with T.init(): B[vi] = T.float32(1); B[vi] = B[vi] + A[vi, vk]
            decomposed-init | to=zero
            B[vi] = T.float32(-3.4028234663852886e+38)
            B[vi] = T.float32(0)
        """),
    ),
    _update_operator(
        name="tir.drop-accumulation",
        fault="a reduction that keeps only its last term, as where a pass takes its iterations to be independent "
        "(incorrect code logic, Shen et al. 2021)",
        description="stores a term of a sum, product, maximum or minimum instead of combining the term with the "
        "stored value",
        rule=TirRule((tirx.BufferStore,), _drop_accumulation),
        examples=kernel_examples("""
            reduction
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vk]
            with T.init(): B[vi] = T.float32(0); B[vi] = A[vi, vk]
            scalar
            B[0] = T.max(B[0], A[k])
            B[0] = A[k]
        """),
    ),
    _update_operator(
        name="tir.subtract-accumulation",
        fault="a term with the wrong sign, as by a wrong rewriting of a multiply-add (incorrect code logic, "
        "Shen et al. 2021)",
        description="subtracts a term from a sum instead of adding the term",
        rule=TirRule((tirx.BufferStore,), _subtract_accumulation),
        examples=kernel_examples("""
            reduction
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vk]
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] - A[vi, vk]
            scalar
            B[0] = A[k] + B[0]
            B[0] = B[0] - A[k]
        """),
    ),
    _update_operator(
        name="tir.narrow-accumulator",
        fault="an accumulator in the type of its operands instead of a wider one, as by ToMixedPrecision (type "
        "problems, Shen et al. 2021)",
        description="adds up a float32 sum in a narrower floating-point type",
        rule=TirRule((tirx.BufferStore,), _narrow_accumulator),
        **choice("type", "the type of the sum", "float16 bfloat16", default="float16"),
        examples=kernel_examples("""
            scalar
            B[0] = B[0] + A[k]
            B[0] = T.Cast("float32", T.Cast("float16", B[0]) + T.Cast("float16", A[k]))
            scalar | type=bfloat16
            B[0] = B[0] + A[k]
            B[0] = T.reinterpret("float32", T.bitwise_and(T.reinterpret("uint32", B[0] + A[k]) + T.uint32(32767) + \
            T.bitwise_and(T.shift_right(T.reinterpret("uint32", B[0] + A[k]), T.uint32(16)), T.uint32(1)), \
            T.uint32(4294901760)))
        """),
    ),
)

"""Faults that mutated kernels call at run time: one bit flipped once, and results rounded toward zero.

The called functions are in the native library (tvm_mutate.native): only at run time is known how often a statement was
executed, and TIR rounds to the nearest only. Without the library these mutants do not compile.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from tvm import tirx
from tvm.ir import prim

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.tir_nodes import storing

# The functions take and return integers: floating-point values are passed as their bits.
_BITS = {"float32": "int32", "int32": "int32", "float64": "int64", "int64": "int64"}
_TOWARD_ZERO: dict[type, str] = {
    prim.Add: "tvm_mutate_add_toward_zero",
    prim.Sub: "tvm_mutate_subtract_toward_zero",
    prim.Mul: "tvm_mutate_multiply_toward_zero",
    prim.Div: "tvm_mutate_divide_toward_zero",
}
_FLOAT_PRECISION = 24


def _as_bits(value: Any) -> Any:
    dtype = str(value.ty.dtype)
    if dtype == _BITS[dtype]:
        return value
    if isinstance(value, prim.FloatImm):  # C reinterprets only values with an address
        return prim.const(int(np.array(value.value, dtype).view(_BITS[dtype])), _BITS[dtype])
    return tirx.reinterpret(_BITS[dtype], value)


def _called(dtype: str, name: str, *arguments: Any) -> Any:
    """A call of a function of the native library, with a result of the type."""
    bits = tirx.call_extern(_BITS[dtype], name, *arguments)
    return bits if dtype == _BITS[dtype] else tirx.reinterpret(dtype, bits)


def _flip_once(store: Any, parameters: Parameters) -> Any | None:
    dtype = str(getattr(store.value.ty, "dtype", ""))
    bit, execution = int(parameters["bit"]), int(parameters["execution"])
    if dtype not in _BITS or not 0 <= bit < store.value.ty.dtype.bits or not 0 < execution < 2**31:
        return None
    name = f"tvm_mutate_flip_bit_once_{store.value.ty.dtype.bits}"
    numbers = (prim.const(bit, "int32"), prim.const(execution, "int32"))
    return storing(store, _called(dtype, name, _as_bits(store.value), *numbers))


def _toward_zero(node: Any, parameters: Parameters) -> Any | None:
    precision = int(parameters["precision"])
    if str(getattr(node.ty, "dtype", "")) != "float32" or not 1 <= precision <= _FLOAT_PRECISION:
        return None
    operands = (_as_bits(node.a), _as_bits(node.b))
    return _called("float32", _TOWARD_ZERO[type(node)], *operands, prim.const(precision, "int32"))


_BEGIN = (
    'T.func_attr({"tvm_mutate.calls_runtime": 1}); T.evaluate(T.call_extern("int32", "tvm_mutate_begin_executions")); '
)
_examples = partial(
    kernel_examples,
    own_templates={
        "longs": """
            A: (16,) int64, B: (16,) int64
            ...
        """
    },
)
_operator = partial(Operator, slots=(Slot.KERNEL,), by_default=False)

OPERATORS = (
    _operator(
        name="tir.flip-bit-once",
        fault="a transient fault of the hardware: one bit of one value, once (soft errors, Li et al., SC 2017)",
        category=Category.MEMORY,
        description="flips one bit of a stored value at the n-th execution of its site in a call of the kernel; needs "
        "the native library, which counts",
        rule=TirRule((tirx.BufferStore,), _flip_once, calls_runtime=True),
        parameters=(
            Parameter("bit", "the bit that is flipped, 0 the lowest", 30),
            Parameter("execution", "at which execution, from 1; several sites of a kernel are counted together", 1),
        ),
        variants=({"bit": 30, "execution": 1}, {"bit": 22, "execution": 1}),
        more_variants=({"bit": 30, "execution": 100}, {"bit": 31, "execution": 1}),
        examples=_examples(f"""
            function | execution=5
            for i in range(16): B[i] = A[i]
            {_BEGIN} for i in range(16): B[i] = T.reinterpret("float32", T.call_extern("int32", \
            "tvm_mutate_flip_bit_once_32", T.reinterpret("int32", A[i]), 30, 5))
            longs | bit=63
            for i in range(16): B[i] = A[i]
            {_BEGIN} for i in range(16): B[i] = T.call_extern("int64", "tvm_mutate_flip_bit_once_64", A[i], 63, 1)
        """),
    ),
    _operator(
        name="tir.round-toward-zero",
        fault="results that are cut off instead of rounded to the nearest, as sums in tensor cores are and as "
        "conversions to bfloat16 were (numerical problems, Shen et al. 2021; Fasi et al. 2021)",
        category=Category.EXPRESSIONS,
        description="rounds a float32 sum, difference, product or quotient toward zero, to so many bits; needs the "
        "native library, since TIR rounds to the nearest only",
        rule=TirRule(tuple(_TOWARD_ZERO), _toward_zero, calls_runtime=True),
        parameters=(Parameter("precision", "the bits of the significand: 24 are all of float32, 8 bfloat16's", 24),),
        variants=({"precision": 24}, {"precision": 8}),
        more_variants=({"precision": 16}, {"precision": 11}),
        examples=_examples(f"""
            function
            for i in range(16): B[i] = A[i] + T.float32(0.1)
            {_BEGIN} for i in range(16): B[i] = T.reinterpret("float32", T.call_extern("int32", \
            "tvm_mutate_add_toward_zero", T.reinterpret("int32", A[i]), 1036831949, 24))
            function | precision=8
            for i in range(16): B[i] = A[i] * A[i]
            {_BEGIN} for i in range(16): B[i] = T.reinterpret("float32", T.call_extern("int32", \
            "tvm_mutate_multiply_toward_zero", T.reinterpret("int32", A[i]), T.reinterpret("int32", A[i]), 8))
        """),
    ),
)

"""Constants in TIR: what TIR rules need to know of them. No family of operators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tvm_ffi
from tvm.ir import prim

_SAFE = 2**15  # no type overflows below it
_NUMPY_FLOATS = {"float16": np.float16, "float32": np.float32, "float64": np.float64}


def element_type(expression: Any) -> Any:
    """The scalar data type of an expression's lanes, or None where it has none (pointers)."""
    dtype = getattr(expression.ty, "dtype", None)
    return dtype if dtype is None or dtype.lanes == 1 else dtype.with_lanes(1)


def literal(expression: Any) -> int | float | None:
    """The value of a constant, or of a vector that repeats one; None for anything else."""
    kind = type(expression)  # TVM's own checks of instances take several times as long, and every rule asks
    if kind is prim.Broadcast:
        return literal(expression.value)
    return expression.value if kind is prim.IntImm or kind is prim.FloatImm else None


def constant_like(expression: Any, value: int | float) -> Any | None:
    """The constant of the expression's type (a vector for a vector), or None if the type cannot hold the value."""
    if not _holds(element_type(expression), value):
        return None
    return prim.const(value, expression.ty.dtype)


def another_constant(constant: Any, value: int | float) -> Any | None:
    """The constant with another value, or None if that is the same one once rounded, or out of range."""
    before = literal(constant)
    dtype = element_type(constant)
    if value == before or (dtype.is_float and _rounded(value, dtype) == _rounded(before, dtype)):
        return None
    return constant_like(constant, value)


def converted(value: float, narrow: str) -> float:
    """A float32 value after a conversion to the narrow type and back; NaN where the type cannot hold it."""
    dtype = tvm_ffi.dtype(narrow)
    if dtype.is_float:
        return _rounded(value, dtype)
    return float(int(value)) if np.isfinite(value) and _holds(dtype, int(value)) else float("nan")


def _rounded(value: Any, dtype: Any) -> float:
    narrow = _NUMPY_FLOATS.get(str(dtype), np.float32)  # bfloat16 has the range of float32
    if abs(value) < _SAFE:
        return float(narrow(value))
    with np.errstate(over="ignore"):
        return float(narrow(value))


def _holds(dtype: Any, value: int | float) -> bool:
    if dtype.is_float:
        # Infinity and NaN are constants as good as any; what overflows to infinity is not.
        return not math.isfinite(value) or math.isfinite(_rounded(value, dtype))
    signed = str(dtype).startswith("int")
    low, high = (-(1 << dtype.bits - 1), (1 << dtype.bits - 1) - 1) if signed else (0, (1 << dtype.bits) - 1)
    return low <= value <= high

"""TIR nodes: constants, statements, blocks and loops, for the rules of TIR operators."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad, TensorRegion, Var, prim

SPATIAL, REDUCTION = 0, 2
NARROW_TYPES = ("float16", "int32", "int16", "int8")
_SAFE = 2**15  # no type overflows below it
_NUMPY_FLOATS = {"float16": np.float16, "float32": np.float32, "float64": np.float64}


def element_type(expression: Any) -> Any:
    """The data type of one lane of an expression; None for an expression without a data type, such as a pointer."""
    dtype = getattr(expression.ty, "dtype", None)
    return dtype if dtype is None or dtype.lanes == 1 else dtype.with_lanes(1)


def literal(expression: Any) -> int | float | None:
    """The value of a constant, or of a vector that repeats a constant; None for other expressions."""
    kind = type(expression)  # isinstance takes several times as long on TVM classes, and every rule calls this function
    if kind is prim.Broadcast:
        return literal(expression.value)
    return expression.value if kind is prim.IntImm or kind is prim.FloatImm else None


def constant_like(expression: Any, value: int | float) -> Any | None:
    """The constant of the expression's type (a vector for a vector), or None if the type cannot hold the value."""
    if not _holds(element_type(expression), value):
        return None
    return prim.const(value, expression.ty.dtype)


def another_constant(constant: Any, value: int | float) -> Any | None:
    """The constant with another value; None if the value rounds to the old value or is out of range."""
    before = literal(constant)
    dtype = element_type(constant)
    if value == before or (dtype.is_float and _rounded(value, dtype) == _rounded(before, dtype)):
        return None
    return constant_like(constant, value)


def cast_through(value: Any, narrow: str) -> Any:
    """The value converted to a narrower type and back; TVM's functions would fold the two conversions."""
    wide = value.ty.dtype
    return prim.Cast(str(wide), prim.Cast(str(tvm_ffi.dtype(narrow).with_lanes(wide.lanes)), value))


def converted(value: float, narrow: str) -> float:
    """A float32 value after a conversion to the narrow type and back; NaN if the type cannot hold the value."""
    dtype = tvm_ffi.dtype(narrow)
    if dtype.is_float:
        return _rounded(value, dtype)
    return float(int(value)) if np.isfinite(value) and _holds(dtype, int(value)) else float("nan")


def nothing() -> tirx.Evaluate:
    """The statement without effect that replaces a removed statement."""
    return tirx.Evaluate(prim.const(0, "int32"))


def storing(store: Any, value: Any | None) -> Any | None:
    """The store of another value; None if the value is None."""
    return None if value is None else tirx.BufferStore(store.buffer, value, store.indices)


def node_with(node: Any, **changed: Any) -> Any:
    """The node with some of its fields changed; a block still declares the same reads and writes."""
    fields = type(node).__tvm_ffi_type_info__.fields
    return type(node)(**{field.name: getattr(node, field.name) for field in fields} | changed)


def is_thread(loop: Any) -> bool:
    """Whether a loop stands for the threads or blocks of a launch."""
    return loop.kind == tirx.ForKind.THREAD_BINDING


def _loads_stored_element(expression: Any, store: Any) -> bool:
    """Whether an expression loads the element that the store writes."""
    return (
        isinstance(expression, TensorLoad)
        and expression.source.same_as(store.buffer)
        and tvm_ffi.structural_equal(list(expression.indices), list(store.indices))
    )


def accumulated(store: Any, kinds: tuple[type, ...]) -> Any | None:
    """``x`` in a store ``C[i] = C[i] + x``, with a node of these kinds instead of +; None for other stores."""
    value: Any = store.value if type(store.value) in kinds else None
    if value is None:
        return None
    if _loads_stored_element(value.a, store):
        return value.b
    return value.a if _loads_stored_element(value.b, store) else None


def iterator_extent(iterator: Any) -> int:
    """The number of values of a block's iterator; 0 if the number is unknown."""
    extent = literal(iterator.dom.extent)
    return 0 if extent is None else int(extent)


def nodes_within(node: Any, *types: type) -> list[Any]:
    """The nodes of these types in a statement or expression."""
    found: list[Any] = []
    tvm_ffi.structural_walk(node, [(types, found.append)])
    return found


def with_node(expression: Any, before: Any, after: Any) -> Any:
    """The expression with one of its nodes replaced."""

    def on_node(node: Any, mutator: Any) -> Any:
        return after if node.same_as(before) else mutator.default_mutate(node)

    return tvm_ffi.structural_mutate(expression, [(type(before), on_node)])


def mentions(expression: Any, variable: Any) -> bool:
    """Whether a variable occurs in an expression."""
    return any(each.same_as(variable) for each in nodes_within(expression, tirx.Var))


def substituted(node: Any, replacements: dict[Any, Any], kept: Any = None) -> Any:
    """The node with variables replaced, except in loads from the buffer ``kept`` and in its declared regions."""

    def on_variable(variable: Any, _mutator: Any) -> Any:
        return replacements.get(variable, variable)

    def on_access(access: Any, mutator: Any) -> Any:
        return access if kept is not None and access.source.same_as(kept) else mutator.default_mutate(access)

    callbacks: list[Any] = [(Var, on_variable), ((TensorLoad, TensorRegion), on_access)]
    return tvm_ffi.structural_mutate(node, callbacks)


def _rounded(value: Any, dtype: Any) -> float:
    narrow = _NUMPY_FLOATS.get(str(dtype), np.float32)  # bfloat16 has the range of float32
    if abs(value) < _SAFE:
        return float(narrow(value))
    with np.errstate(over="ignore"):
        return float(narrow(value))


def _holds(dtype: Any, value: int | float) -> bool:
    if dtype.is_float:
        # Infinity and NaN are valid constants; a finite value that overflows is not.
        return not math.isfinite(value) or math.isfinite(_rounded(value, dtype))
    signed = str(dtype).startswith("int")
    low, high = (-(1 << dtype.bits - 1), (1 << dtype.bits - 1) - 1) if signed else (0, (1 << dtype.bits) - 1)
    return low <= value <= high

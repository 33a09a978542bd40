"""What the rules on Relax ask of an expression's type."""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir.prim import IntImm


def static_shape(expression: Any) -> tuple[int, ...] | None:
    """The shape of a tensor with constant dimensions; None for anything else."""
    kind = expression.ty
    if not isinstance(kind, relax.TensorType) or not isinstance(kind.shape, relax.ShapeExpr):
        return None
    dimensions = kind.shape.values
    if not all(isinstance(dimension, IntImm) for dimension in dimensions):
        return None
    return tuple(int(dimension) for dimension in dimensions)


def is_float_tensor(kind: Any) -> bool:
    """Whether a type is that of a tensor of floating-point numbers, of whatever width."""
    return isinstance(kind, relax.TensorType) and "float" in str(kind.dtype)

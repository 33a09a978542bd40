"""Relax calls and their types, for the rules of graph operators. No family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import GenericConst
from tvm.ir.prim import IntImm

BATCH_NORM, CONV2D, MATMUL = "relax.nn.batch_norm", "relax.nn.conv2d", "relax.matmul"
TRANSPOSE = "relax.permute_dims"


def with_argument(call: Any, index: int, argument: Any) -> Any:
    """The call with another argument at the index."""
    arguments = [*call.args[:index], argument, *call.args[index + 1 :]]
    return relax.Call(call.op, arguments, call.attrs, call.ty_args)


def with_attributes(call: Any, **changes: Any) -> Any:
    """The call with some of its attributes changed."""
    kind = type(call.attrs).__tvm_ffi_type_info__
    attributes = {field.name: getattr(call.attrs, field.name) for field in kind.fields}
    changed = tvm.ir.make_node(kind.type_key, **{**attributes, **changes})
    return relax.Call(call.op, call.args, changed, call.ty_args)


def with_function(module: tvm.IRModule, name: str, function: relax.Function) -> tvm.IRModule:
    """The module with another function of this name."""
    functions = {**module.functions, module.get_global_var(name): function}
    return tvm.IRModule(functions, attrs=module.attrs, global_infos=module.global_infos)


def bound_values(function: relax.Function) -> dict[relax.Var, Any]:
    """The value of each variable that a binding of the function's body defines, in their order."""
    bindings = [binding for block in function.body.blocks for binding in block.bindings]
    return {binding.var: binding.value for binding in bindings if isinstance(binding, relax.VarBinding)}


def is_call(expression: Any, *ops: str) -> bool:
    """Whether an expression calls one of these Relax operators; without ``ops``, any Relax operator."""
    if not isinstance(expression, relax.Call) or not isinstance(expression.op, tvm.ir.Op):
        return False
    return not ops or expression.op.name in ops


def swapped(values: Any, first: int, second: int) -> list[Any]:
    """The values with two of them exchanged."""
    values = list(values)
    values[first], values[second] = values[second], values[first]
    return values


def same_type(one: Any, other: Any) -> bool:
    """Whether two expressions have the same type, so that one can replace the other."""
    return bool(tvm_ffi.structural_equal(one.ty, other.ty))


def first_pair_of_one_type(values: Sequence[Any]) -> tuple[int, int] | None:
    """The first two different values of one type, by index."""
    for second, value in enumerate(values):
        for first in range(second):
            if same_type(values[first], value) and not values[first].same_as(value):
                return first, second
    return None


def is_constant(expression: Any) -> bool:
    """Whether an expression is a constant tensor of the model: weights, biases, statistics."""
    return isinstance(expression, GenericConst)


def is_float_tensor(kind: Any) -> bool:
    """Whether a type is a tensor of floating-point numbers of any width."""
    return isinstance(kind, relax.TensorType) and "float" in str(kind.dtype)


def static_shape(expression: Any) -> tuple[int, ...] | None:
    """The shape of a tensor with constant dimensions; None for anything else."""
    kind = expression.ty
    if not isinstance(kind, relax.TensorType) or not isinstance(kind.shape, relax.ShapeExpr):
        return None
    dimensions = kind.shape.values
    if not all(isinstance(dimension, IntImm) for dimension in dimensions):
        return None
    return tuple(int(dimension) for dimension in dimensions)


def integers(values: Any) -> list[int]:
    """The integers of an attribute as a list of Python integers."""
    return [int(value) for value in values]

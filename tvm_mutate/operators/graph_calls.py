"""What the rules on Relax do with a call and its types, and how their examples are written. No family of operators."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import GenericConst

from tvm_mutate.mutant import Example, Value

_SHAPE = re.compile(r"\([\d, ]*\)")
_MODULE = """
@I.ir_module
class Module:
    @R.function
    def main({inputs}) -> {result}:
        with R.dataflow():
            {lines}
            R.output(gv)
        return gv
"""


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


def same_type(one: Any, other: Any) -> bool:
    """Whether two expressions have the same type, and so may stand for each other."""
    return bool(tvm_ffi.structural_equal(one.ty, other.ty))


def is_constant(expression: Any) -> bool:
    """Whether an expression is a tensor of the model's own: weights, biases, statistics."""
    return isinstance(expression, GenericConst)


def integers(values: Any) -> list[int]:
    """A list of the attributes' integers as Python's own."""
    return [int(value) for value in values]


def graph_example(
    signature: str, before: str, after: str, parameters: Mapping[str, Value] | None = None, sites: str = "*"
) -> Example:
    """An example on float32 tensors: its signature as ``x: (2, 3) -> (2, 3)``, and the lines that make ``gv``."""
    inputs, result = _SHAPE.sub(lambda shape: f'R.Tensor({shape[0]}, "float32")', signature).split(" -> ")

    def script(text: str) -> str:
        lines = "\n            ".join(line.strip() for line in text.strip().splitlines())
        return _MODULE.format(inputs=inputs, result=result, lines=lines)

    return Example(script(before), script(after), dict(parameters or {}), sites)

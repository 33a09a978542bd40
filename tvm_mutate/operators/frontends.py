"""Frontends: a converter ignores an attribute, reads it from the place of another, or counts an axis wrongly."""

from __future__ import annotations

from functools import partial
from math import isclose
from typing import Any

import tvm
from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameters, Slot
from tvm_mutate.operators.examples import graph_examples
from tvm_mutate.operators.parameters import choice
from tvm_mutate.operators.relax_calls import BATCH_NORM, CONV2D, integers, static_shape, with_attributes

# Attributes by ONNX operator and name: the operators and the attribute of Relax, and ONNX's default. A single number
# stands for a list of them.
_ATTRIBUTES: dict[str, tuple[tuple[str, ...], str, Any]] = {
    "Conv.pads": ((CONV2D, "relax.nn.conv1d"), "padding", 0),
    "Conv.strides": ((CONV2D, "relax.nn.conv1d"), "strides", 1),
    "Conv.dilations": ((CONV2D, "relax.nn.conv1d"), "dilation", 1),
    "ConvTranspose.output_padding": (("relax.nn.conv2d_transpose", "relax.nn.conv1d_transpose"), "output_padding", 0),
    "ConvTranspose.dilations": (("relax.nn.conv2d_transpose", "relax.nn.conv1d_transpose"), "dilation", 1),
    "MaxPool.pads": (("relax.nn.max_pool2d",), "padding", 0),
    "MaxPool.strides": (("relax.nn.max_pool2d",), "strides", 1),
    "AveragePool.pads": (("relax.nn.avg_pool2d",), "padding", 0),
    "AveragePool.strides": (("relax.nn.avg_pool2d",), "strides", 1),
    "AveragePool.count_include_pad": (("relax.nn.avg_pool2d",), "count_include_pad", False),
    "BatchNormalization.epsilon": ((BATCH_NORM,), "epsilon", 1e-5),
    "LayerNormalization.epsilon": (("relax.nn.layer_norm",), "epsilon", 1e-5),
    "LeakyRelu.alpha": (("relax.nn.leakyrelu",), "alpha", 0.01),
    "Softmax.axis": (("relax.nn.softmax", "relax.nn.log_softmax"), "axis", -1),
    "ReduceMean.keepdims": (("relax.mean",), "keepdims", True),
    "ReduceMean.axes": (("relax.mean",), "axis", None),
    "ReduceSum.axes": (("relax.sum",), "axis", None),
    "Resize.coordinate_transformation_mode": (
        ("relax.image.resize2d",),
        "coordinate_transformation_mode",
        "half_pixel",
    ),
    "ScatterElements.reduction": (("relax.scatter_elements",), "reduction", "update"),
    "ScatterND.reduction": (("relax.scatter_nd",), "reduction", "update"),
    "CumSum.exclusive": (("relax.cumsum",), "exclusive", False),
}
# Attributes of one operator that a converter takes for each other.
_CONFUSED = {
    "strides-dilation": ("strides", "dilation"),
    "padding-begin-end": ("padding", "padding"),
    "padding-axes": ("padding", "padding"),
    "output-padding-dilation": ("output_padding", "dilation"),
}
_WINDOWED = (
    *(f"relax.nn.conv{name}" for name in ("1d", "2d", "3d", "1d_transpose", "2d_transpose")),
    *(f"relax.nn.{kind}_pool2d" for kind in ("max", "avg")),
)
_WITH_AXIS = tuple(
    f"relax.{name}"
    for name in ("concat", "split", "flip", "cumsum", "nn.softmax", "mean", "sum", "max", "min", "stack")
)


def _ignore(call: Any, parameters: Parameters) -> Any:
    ops, attribute, default = _ATTRIBUTES[str(parameters["attribute"])]
    if call.op.name not in ops:
        return None
    value = getattr(call.attrs, attribute)
    if isinstance(value, tvm.ir.Array | tuple | list) and default is not None:
        default = [default] * len(value)
        value = integers(value)
    if isinstance(default, float) and isclose(value, default, rel_tol=1e-3):  # frontends read float32
        return None
    if value is None or value == default or (attribute == "axis" and _is_last(call, value)):
        return None
    return with_attributes(call, **{attribute: default})


def _is_last(call: Any, axis: Any) -> bool:
    return isinstance(axis, int) and axis == call.args[0].ty.ndim - 1


def _confuse(call: Any, parameters: Parameters) -> Any:
    pair = str(parameters["pair"])
    first, second = _CONFUSED[pair]
    if not hasattr(call.attrs, first) or not hasattr(call.attrs, second):
        return None
    one, other = integers(getattr(call.attrs, first)), integers(getattr(call.attrs, second))
    half = len(one) // 2
    if pair == "padding-begin-end":
        wrong = {"padding": one[half:] + one[:half]}
    elif pair == "padding-axes":  # begin and end of one axis after the other, in place of all begins first
        wrong = {"padding": [one[(at % 2) * half + at // 2] for at in range(len(one))]}
    elif first == "output_padding":
        wrong = {"dilation": [max(width, 1) for width in one]}
    else:
        wrong = {first: other, second: one}
    unchanged = all(integers(getattr(call.attrs, name)) == value for name, value in wrong.items())
    return None if unchanged else with_attributes(call, **wrong)


def _shift_axis(call: Any, parameters: Parameters) -> Any:
    if call.op.name != f"relax.{parameters['of']}":
        return None
    data = call.args[0]
    shape = static_shape(data.fields[0] if isinstance(data, relax.Tuple) else data)
    axis = call.attrs.axis
    if shape is None or axis is None or len(shape) < 2:
        return None
    axes = [int(axis)] if isinstance(axis, int) else integers(axis)
    wrong = [(each + 1) % len(shape) for each in axes]
    return with_attributes(call, axis=wrong[0] if isinstance(axis, int) else sorted(wrong))


_operator = partial(Operator, slots=(Slot.IMPORT,), category=Category.ATTRIBUTES, by_default=False)
_CONVERSION = "incorrect frontend conversion, Shen et al. 2021"

OPERATORS = (
    _operator(
        name="import.ignore-attribute",
        fault=f"a converter that does not read an attribute, so that its default holds (apache/tvm#19527; "
        f"{_CONVERSION})",
        description="gives an attribute of an operator the default of ONNX, as if the frontend did not read it",
        rule=GraphRule(tuple(dict.fromkeys(op for ops, _, _ in _ATTRIBUTES.values() for op in ops)), _ignore),
        **choice(
            "attribute",
            "the operator and the attribute of ONNX",
            "Conv.pads Conv.strides",
            " ".join(name for name in _ATTRIBUTES if name not in ("Conv.pads", "Conv.strides")),
        ),
        examples=graph_examples("""
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) | attribute=Conv.pads
            R.nn.conv2d(x, w, padding=[1, 1, 1, 1])
            R.nn.conv2d(x, w)
            x: (2, 3) | attribute=ReduceMean.axes
            R.mean(x, axis=[1])
            R.mean(x)
        """),
    ),
    _operator(
        name="import.confuse-attributes",
        fault=f"a converter that reads an attribute from the place of another (apache/tvm#17968; {_CONVERSION})",
        description="takes attributes of a convolution or pooling for each other",
        rule=GraphRule(_WINDOWED, _confuse),
        **choice(
            "pair",
            "the attributes; of padding, begin and end, or the order of axes",
            "strides-dilation",
            "padding-begin-end padding-axes output-padding-dilation",
        ),
        examples=graph_examples("""
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) | pair=strides-dilation
            R.nn.conv2d(x, w, strides=[2, 2], padding=[1, 1, 1, 1])
            R.nn.conv2d(x, w, padding=[1, 1, 1, 1], dilation=[2, 2])
            x: (1, 2, 8, 8), w: (2, 4, 3, 3) | pair=output-padding-dilation
            R.nn.conv2d_transpose(x, w, strides=[2, 2], output_padding=[1, 1], dilation=[2, 2])
            R.nn.conv2d_transpose(x, w, strides=[2, 2], output_padding=[1, 1])
        """),
    ),
    _operator(
        name="import.shift-axis",
        fault=f"an axis that is counted with or without the batch ({_CONVERSION})",
        description="takes the next axis for that of an operator, after the last axis the first",
        rule=GraphRule(_WITH_AXIS, _shift_axis),
        **choice("of", "the operators", "concat mean", "split flip cumsum nn.softmax sum max min stack"),
        examples=graph_examples("""
            x: (2, 2), y: (2, 2) | of=concat
            R.concat((x, y), axis=1)
            R.concat((x, y), axis=0)
            x: (2, 3) | of=sum
            R.sum(x, axis=[-1])
            R.sum(x, axis=[0])
        """),
    ),
)

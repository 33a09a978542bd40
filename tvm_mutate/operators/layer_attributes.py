"""Layer Attributes: axes, paddings, dilations, averages, normalisations, bounds of activations, and resized images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isfinite
from typing import Any

import numpy as np
from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.examples import graph_examples
from tvm_mutate.operators.parameters import AMOUNTS, FACTORS, choice, replacement
from tvm_mutate.operators.relax_calls import (
    BATCH_NORM,
    CONV2D,
    integers,
    is_constant,
    is_float_tensor,
    same_type,
    static_shape,
    with_argument,
    with_attributes,
)
from tvm_mutate.operators.tir_nodes import literal

_SHAPE_KEEPING = ("softmax", "log_softmax", "cumsum", "cumprod")
_AXIS_REDUCTIONS = ("mean", "sum", "max", "min", "variance", "std", "prod", "argmax", "argmin")
_WITH_AXIS = {
    f"relax.{'nn.' if name.endswith('softmax') else ''}{name}": name for name in (*_SHAPE_KEEPING, *_AXIS_REDUCTIONS)
}
_WINDOWED = (CONV2D, "relax.nn.max_pool2d", "relax.nn.avg_pool2d")
_REDUCTIONS = ("mean", "max", "sum", "min")
_AFFINE = (BATCH_NORM, "relax.nn.layer_norm", "relax.nn.group_norm", "relax.nn.instance_norm")
_EXCHANGED = {"statistics": (3, 4), "affine": (1, 2)}  # the exchanged arguments
_PARTS = {"scale": ("scale", 1, 1.0), "centre": ("center", 2, 0.0)}  # attribute, argument, value without effect
_NO_BOUND = 1e30  # frontends write a missing bound as a larger number
_BOUND = Parameter("bound", "which bound", choices=("low", "high"))
_RESIZE_METHODS = ("nearest_neighbor", "linear", "cubic")


def _wrong_axis(call: Any, parameters: Parameters) -> Any:
    name = _WITH_AXIS[call.op.name]
    shape = static_shape(call.args[0])
    if not shape or call.attrs.axis is None or (name in _SHAPE_KEEPING) != (parameters["of"] == "softmax"):
        return None
    if name in _AXIS_REDUCTIONS:
        return _over_another_axis(call, shape)
    axis = int(call.attrs.axis) % len(shape)
    others = [other for other in range(len(shape)) if other != axis]
    return with_attributes(call, axis=max(others, key=lambda other: (shape[other] > 1, other))) if others else None


def _over_another_axis(call: Any, shape: tuple[int, ...]) -> Any:
    """The reduction with one of its axes replaced so that the result has the same shape."""
    several = not isinstance(call.attrs.axis, int)
    axes = [axis % len(shape) for axis in (integers(call.attrs.axis) if several else [int(call.attrs.axis)])]
    for old in reversed(axes):
        for new in reversed(range(len(shape))):
            chosen = sorted({new, *axes} - {old})
            if new not in axes and shape[new] > 1 and _reduced(call, shape, chosen) == _reduced(call, shape, axes):
                return with_attributes(call, axis=chosen if several else chosen[0])
    return None


def _reduced(call: Any, shape: tuple[int, ...], axes: Sequence[int]) -> list[int]:
    kept = [1 if axis in axes else extent for axis, extent in enumerate(shape)]
    return kept if call.attrs.keepdims else [extent for axis, extent in enumerate(kept) if axis not in axes]


def _moves_data(shape: tuple[int, ...], axes: Sequence[int]) -> bool:
    """Whether a transposition reorders data in memory; axes of extent 1 do not count."""
    large = [axis for axis in axes if shape[axis] > 1]
    return large != sorted(large)


def _drop_transpose(call: Any, _parameters: Parameters) -> Any:
    data = call.args[0]
    shape = static_shape(data)
    if shape is None:
        return None
    axes = range(len(shape))[::-1] if call.attrs.axes is None else integers(call.attrs.axes)
    if not _moves_data(shape, [axis % len(shape) for axis in axes]):
        return None
    return data if same_type(call, data) else relax.op.reshape(data, call.ty.shape)


def _reorder_reshape(call: Any, _parameters: Parameters) -> Any:
    data = call.args[0]
    shape = static_shape(data)
    if not shape or is_constant(data):
        return None
    axes = [1, 0] if len(shape) == 2 else [0, *range(2, len(shape)), 1][: len(shape)]
    return relax.op.reshape(relax.op.permute_dims(data, axes), call.args[1]) if _moves_data(shape, axes) else None


def _padding(call: Any) -> tuple[list[int], list[int]]:
    """The padding widths at the beginning of each axis, and at the end."""
    padding = integers(call.attrs.padding)
    return padding[: len(padding) // 2], padding[len(padding) // 2 :]


def _shift_padding(call: Any, parameters: Parameters) -> Any:
    begin, end = _padding(call)
    larger, smaller = (begin, end) if parameters["to"] == "begin" else (end, begin)
    for axis, width in enumerate(smaller):
        if width > 0:
            larger[axis], smaller[axis] = larger[axis] + 1, width - 1
    padding = begin + end
    return with_attributes(call, padding=padding) if padding != integers(call.attrs.padding) else None


def _window(call: Any) -> list[int] | None:
    if call.op.name != CONV2D:
        return integers(call.attrs.pool_size)
    shape = static_shape(call.args[1])
    return [shape[call.attrs.kernel_layout.index(axis)] for axis in "HW"] if shape else None


def _double_dilation(call: Any, _parameters: Parameters) -> Any:
    window = _window(call)
    if window is None or max(window) == 1:
        return None
    dilation = integers(call.attrs.dilation)
    begin, end = _padding(call)
    for axis, (extent, step) in enumerate(zip(window, dilation, strict=True)):
        wider = (extent - 1) * step
        begin[axis] += wider // 2
        end[axis] += wider - wider // 2
    return with_attributes(call, dilation=[2 * step for step in dilation], padding=begin + end)


def _wrong_padding(call: Any, parameters: Parameters) -> Any:
    shape = static_shape(call.args[0])
    layout = call.attrs.data_layout
    begin, end = _padding(call)
    if shape is None or len(layout) != len(shape) or max(begin + end) == 0:
        return None
    widths = [0] * (2 * len(shape))
    for axis, name in enumerate("HW"):
        at = layout.index(name)
        widths[2 * at], widths[2 * at + 1] = begin[axis], end[axis]
    if any(width >= shape[at // 2] for at, width in enumerate(widths)):
        return None  # the data are too small to be reflected
    mode = str(parameters["with"])
    padded = relax.op.nn.pad(call.args[0], widths, "constant" if mode == "one" else mode, 1.0)
    return with_attributes(with_argument(call, 0, padded), padding=[0] * len(begin + end))


def _flip_count_include_pad(call: Any, _parameters: Parameters) -> Any:
    if not any(integers(call.attrs.padding)):
        return None
    return with_attributes(call, count_include_pad=not call.attrs.count_include_pad)


def _replace_reduction(call: Any, parameters: Parameters) -> Any:
    before, after = str(parameters["from"]), str(parameters["to"])
    if before == after or call.op.name != f"relax.{before}":
        return None
    axes = None if call.attrs.axis is None else integers(call.attrs.axis)
    return getattr(relax.op, after)(call.args[0], axes, bool(call.attrs.keepdims))


def _multiplied(attribute: str, call: Any, parameters: Parameters) -> Any:
    """The call with the attribute multiplied by the parameter ``factor``."""
    before = float(getattr(call.attrs, attribute))
    after = before * float(parameters["factor"])
    return with_attributes(call, **{attribute: after}) if after != before else None


def _swap_statistics(call: Any, parameters: Parameters) -> Any:
    pair = str(parameters["pair"])
    if pair == "statistics" and call.op.name != BATCH_NORM:
        return None
    first, second = _EXCHANGED[pair]
    return with_argument(with_argument(call, first, call.args[second]), second, call.args[first])


def _batch_statistics(call: Any, _parameters: Parameters) -> Any:
    data = call.args[0]
    axes = [axis for axis in range(data.ty.ndim) if axis != int(call.attrs.axis) % data.ty.ndim]
    return with_argument(with_argument(call, 3, relax.op.mean(data, axes)), 4, relax.op.variance(data, axes))


def _drop_affine(call: Any, parameters: Parameters) -> Any:
    attribute, index, neutral = _PARTS[str(parameters["part"])]
    values = call.args[index]
    if not getattr(call.attrs, attribute) or (is_constant(values) and bool(np.all(values.value.numpy() == neutral))):
        return None
    return with_attributes(call, **{attribute: False})


def _bounds(call: Any) -> tuple[float, float] | None:
    low, high = literal(call.args[1]), literal(call.args[2])
    if low is None or high is None or not is_float_tensor(call.args[0].ty) or not low < high:
        return None
    return float(low), float(high)


def _wrong_clip(call: Any, parameters: Parameters) -> Any:
    bounds = _bounds(call)
    shift = float(parameters["by"])
    if bounds is None or shift == 0 or max(map(abs, bounds)) >= _NO_BOUND:
        return None
    low, high = bounds
    by = shift * (high - low)
    low, high = (low + by, high) if parameters["bound"] == "low" else (low, high + by)
    return relax.op.clip(call.args[0], low, high) if low < high and isfinite(by) else None


def _drop_bound(call: Any, parameters: Parameters) -> Any:
    bounds = _bounds(call)
    if bounds is None:
        return None
    data = call.args[0]
    dropped, kept = bounds if parameters["bound"] == "low" else bounds[::-1]
    if abs(dropped) >= _NO_BOUND:
        return None
    limit = relax.op.minimum if parameters["bound"] == "low" else relax.op.maximum
    return limit(data, relax.const(kept, str(data.ty.dtype))) if abs(kept) < _NO_BOUND else data


def _wrong_resize(call: Any, parameters: Parameters) -> Any:
    to = str(parameters["to"])
    attribute = "method" if to in _RESIZE_METHODS else "coordinate_transformation_mode"
    return with_attributes(call, **{attribute: to}) if getattr(call.attrs, attribute) != to else None


_operator = partial(Operator, slots=(Slot.GRAPH,), category=Category.ATTRIBUTES)

OPERATORS = (
    _operator(
        name="graph.wrong-axis",
        fault="an axis that is miscounted, or a default that differs between formats, as for softmax in ONNX before "
        "opset 13 (incorrect frontend conversion, Shen et al. 2021)",
        description="normalises, accumulates or reduces along another axis that gives the same shape; the last such "
        "axis that is larger than 1 is preferred",
        rule=GraphRule(tuple(_WITH_AXIS), _wrong_axis),
        **choice("of", "softmax and others that keep the shape, or reductions", "softmax reduction"),
        examples=graph_examples("""
            x: (2, 3, 5) -> (2, 3, 5) | of=softmax
            R.nn.softmax(x, axis=-1)
            R.nn.softmax(x, axis=1)
            x: (2, 4, 4) -> (2, 4) | of=reduction
            R.mean(x, axis=[1])
            R.mean(x, axis=[2])
        """),
    ),
    _operator(
        name="graph.drop-transpose",
        fault="a transposition that is taken for a reshape, or cancelled against a transposition that is not its "
        "inverse (layout problems, Shen et al. 2021)",
        description="reads the data of a transposition in memory order, in the expected shape",
        rule=GraphRule(("relax.permute_dims",), _drop_transpose),
        examples=graph_examples("""
            x: (2, 3) -> (3, 2)
            R.permute_dims(x, axes=[1, 0])
            R.reshape(x, R.shape([3, 2]))
            x: (4, 4) -> (4, 4)
            lv = R.permute_dims(x); R.nn.relu(lv)
            lv = x; R.nn.relu(lv)
        """),
    ),
    _operator(
        name="graph.reorder-reshape",
        fault="data that are flattened or split in the order of another layout (layout problems, Shen et al. 2021)",
        description="transposes data before a reshape as if the channels were last: the second axis moves to the end "
        "(in a matrix the first)",
        rule=GraphRule(("relax.reshape",), _reorder_reshape),
        examples=graph_examples("""
            x: (1, 2, 3, 3) -> (1, 18)
            R.reshape(x, R.shape([1, 18]))
            lv = R.permute_dims(x, axes=[0, 2, 3, 1]); R.reshape(lv, R.shape([1, 18]))
            x: (4, 6) -> (2, 12)
            R.reshape(x, R.shape([2, 12]))
            lv = R.permute_dims(x, axes=[1, 0]); R.reshape(lv, R.shape([2, 12]))
        """),
    ),
    _operator(
        name="graph.shift-padding",
        fault="padding on the wrong side, for example when ONNX's SAME_UPPER and SAME_LOWER are confused (incorrect "
        "frontend conversion, Shen et al. 2021)",
        description="moves one row and one column of the padding of a convolution or pooling to the other side",
        rule=GraphRule(_WINDOWED, _shift_padding),
        **choice("to", "the side that gets more padding", "begin end"),
        examples=graph_examples("""
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 8, 8) | to=begin
            R.nn.conv2d(x, w, padding=[1, 1, 1, 1])
            R.nn.conv2d(x, w, padding=[2, 2, 0, 0])
            x: (1, 2, 7, 8) -> (1, 2, 4, 4) | to=end
            R.nn.max_pool2d(x, pool_size=[3, 2], strides=[2, 2], padding=[1, 0, 1, 0])
            R.nn.max_pool2d(x, pool_size=[3, 2], strides=[2, 2], padding=[0, 0, 2, 0])
        """),
    ),
    _operator(
        name="graph.double-dilation",
        fault="a dilation that is read wrongly and still fits (incorrect frontend conversion, Shen et al. 2021)",
        description="doubles the dilation of a convolution or pooling, with more padding so that the shape stays",
        rule=GraphRule(_WINDOWED, _double_dilation),
        examples=graph_examples("""
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 8, 8)
            R.nn.conv2d(x, w, padding=[1, 1, 1, 1])
            R.nn.conv2d(x, w, padding=[2, 2, 2, 2], dilation=[2, 2])
            x: (1, 2, 8, 8) -> (1, 2, 4, 8)
            R.nn.max_pool2d(x, pool_size=[2, 1], strides=[2, 1])
            R.nn.max_pool2d(x, pool_size=[2, 1], strides=[2, 1], dilation=[2, 2], padding=[0, 0, 1, 0])
        """),
    ),
    _operator(
        name="graph.wrong-padding",
        fault="another padding mode or value, such as the zero point of quantised data (incorrect frontend conversion, "
        "Shen et al. 2021)",
        description="pads the data of a convolution with ones, or with data from their edges, instead of zeros",
        rule=GraphRule((CONV2D,), _wrong_padding),
        **choice("with", "what replaces the zeros", "one replicate", "reflect circular"),
        examples=graph_examples("""
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 8, 8) | with=one
            R.nn.conv2d(x, w, padding=[1, 1, 1, 1])
            lv = R.nn.pad(x, pad_width=[0, 0, 0, 0, 1, 1, 1, 1], pad_mode="constant", pad_value=1.0); \
            R.nn.conv2d(lv, w)
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 8, 6) | with=replicate
            R.nn.conv2d(x, w, padding=[2, 0, 0, 0])
            lv = R.nn.pad(x, pad_width=[0, 0, 0, 0, 2, 0, 0, 0], pad_mode="replicate", pad_value=1.0); \
            R.nn.conv2d(lv, w)
        """),
    ),
    _operator(
        name="graph.flip-count-include-pad",
        fault="a default that differs between formats: PyTorch counts the padding, ONNX does not (incorrect frontend "
        "conversion, Shen et al. 2021)",
        description="counts the padding in the averages of a padded pooling, or stops counting it",
        rule=GraphRule(("relax.nn.avg_pool2d",), _flip_count_include_pad),
        examples=graph_examples("""
            x: (1, 2, 8, 8) -> (1, 2, 8, 8)
            R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1])
            R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1], count_include_pad=True)
            x: (1, 2, 8, 8) -> (1, 2, 4, 4)
            R.nn.avg_pool2d(x, pool_size=[3, 3], strides=[2, 2], padding=[0, 0, 1, 1], count_include_pad=True)
            R.nn.avg_pool2d(x, pool_size=[3, 3], strides=[2, 2], padding=[0, 0, 1, 1])
        """),
    ),
    _operator(
        name="graph.replace-reduction",
        fault="a global pooling that is imported as another one, or a sum that is never divided (wrong operator "
        "mapping, Shen et al. 2021)",
        description="replaces a mean, maximum, sum or minimum over axes by another of these, for example global "
        "average pooling by global maximum pooling",
        rule=GraphRule(tuple(f"relax.{name}" for name in _REDUCTIONS), _replace_reduction),
        **replacement("reduction", "mean>max mean>sum", _REDUCTIONS),
        examples=graph_examples("""
            x: (1, 2, 8, 8) -> (1, 2, 1, 1) | from=mean to=max
            R.mean(x, axis=[2, 3], keepdims=True)
            R.max(x, axis=[2, 3], keepdims=True)
            x: (2, 3) -> () | from=mean to=sum
            R.mean(x)
            R.sum(x)
        """),
    ),
    _operator(
        name="graph.wrong-epsilon",
        fault="an epsilon that is not read, so that the default of another framework holds (1e-5 in PyTorch, 1e-3 in "
        "Keras; incorrect frontend conversion, Shen et al. 2021)",
        description="multiplies the epsilon of a normalisation by a factor",
        rule=GraphRule((*_AFFINE, "relax.nn.rms_norm"), partial(_multiplied, "epsilon")),
        parameters=(Parameter("factor", "the factor; 0 removes epsilon", 100.0, magnitude=FACTORS),),
        variants=({"factor": 100.0}, {"factor": 10000.0}),
        more_variants=({"factor": 0.0},),
        examples=graph_examples("""
            x: (1, 4, 8, 8), g: (4,), b: (4,), m: (4,), v: (4,) -> (1, 4, 8, 8) | factor=4.0
            lv = R.nn.batch_norm(x, g, b, m, v, epsilon=0.5, axis=1); lv[0]
            lv = R.nn.batch_norm(x, g, b, m, v, epsilon=2.0, axis=1); lv[0]
            x: (2, 5), g: (5,), b: (5,) -> (2, 5) | factor=0.0
            R.nn.layer_norm(x, g, b, epsilon=0.5, axes=[-1])
            R.nn.layer_norm(x, g, b, epsilon=0.0, axes=[-1])
        """),
    ),
    _operator(
        name="graph.swap-statistics",
        fault="weights that are bound to the wrong arguments (incorrect frontend conversion, Shen et al. 2021)",
        description="exchanges mean and variance of a batch normalisation, or scale and shift of a normalisation",
        rule=GraphRule(_AFFINE, _swap_statistics),
        **choice("pair", "mean and variance, or scale and shift", "statistics affine", default="statistics"),
        examples=graph_examples("""
            x: (1, 4, 8, 8), g: (4,), b: (4,), m: (4,), v: (4,) -> (1, 4, 8, 8)
            lv = R.nn.batch_norm(x, g, b, m, v, epsilon=0.5, axis=1); lv[0]
            lv = R.nn.batch_norm(x, g, b, v, m, epsilon=0.5, axis=1); lv[0]
            x: (2, 5), g: (5,), b: (5,) -> (2, 5) | pair=affine
            R.nn.layer_norm(x, g, b, epsilon=0.5, axes=[-1])
            R.nn.layer_norm(x, b, g, epsilon=0.5, axes=[-1])
        """),
    ),
    _operator(
        name="graph.batch-statistics",
        fault="a normalisation that runs in the mode of training (incorrect frontend conversion, Shen et al. 2021)",
        description="normalises by mean and variance of the batch in place of the stored statistics",
        rule=GraphRule((BATCH_NORM,), _batch_statistics),
        examples=graph_examples("""
            x: (1, 4, 8, 8), g: (4,), b: (4,), m: (4,), v: (4,) -> (1, 4, 8, 8)
            lv = R.nn.batch_norm(x, g, b, m, v, epsilon=0.5, axis=1); lv[0]
            lv = R.mean(x, axis=[0, 2, 3]); lv1 = R.variance(x, axis=[0, 2, 3]); \
            lv2 = R.nn.batch_norm(x, g, b, lv, lv1, epsilon=0.5, axis=1); lv2[0]
        """),
    ),
    _operator(
        name="graph.drop-affine",
        fault="an optional scale or shift that is not applied (incorrect frontend conversion, Shen et al. 2021)",
        description="removes the scale or the shift of a normalisation, unless it is 1 or 0 everywhere",
        rule=GraphRule(_AFFINE, _drop_affine),
        **choice("part", "what is removed", "scale centre"),
        examples=graph_examples("""
            x: (1, 4, 8, 8), g: (4,), b: (4,), m: (4,), v: (4,) -> (1, 4, 8, 8) | part=scale
            lv = R.nn.batch_norm(x, g, b, m, v, scale=True, axis=1); lv[0]
            lv = R.nn.batch_norm(x, g, b, m, v, scale=False, axis=1); lv[0]
            x: (2, 5), g: (5,), b: (5,) -> (2, 5) | part=centre
            R.nn.layer_norm(x, g, b, center=True, axes=[-1])
            R.nn.layer_norm(x, g, b, center=False, axes=[-1])
        """),
    ),
    _operator(
        name="graph.wrong-clip",
        fault="a wrong bound, for example a rounded or truncated constant (incorrect frontend conversion, Shen et al. "
        "2021)",
        description="moves one bound of a clip by a fraction of the distance between the bounds",
        rule=GraphRule(("relax.clip",), _wrong_clip),
        parameters=(_BOUND, Parameter("by", "how far up, as a fraction of the distance", 0.1, magnitude=AMOUNTS)),
        variants=({"bound": "low", "by": 0.1}, {"bound": "high", "by": -0.5}),
        more_variants=({"bound": "low", "by": -0.1}, {"bound": "high", "by": 0.5}),
        examples=graph_examples("""
            x: (2, 3) -> (2, 3) | bound=high by=-0.5
            R.clip(x, 0.0, 6.0)
            R.clip(x, 0.0, 3.0)
            x: (2, 3) -> (2, 3) | bound=low by=0.25
            R.clip(x, -2.0, 2.0)
            R.clip(x, -1.0, 2.0)
        """),
    ),
    _operator(
        name="graph.drop-bound",
        fault="a bounded activation that is imported as an unbounded one, relu6 as relu (wrong operator mapping, "
        "Shen et al. 2021)",
        description="removes one bound of a clip",
        rule=GraphRule(("relax.clip",), _drop_bound),
        parameters=(_BOUND,),
        variants=({"bound": "low"}, {"bound": "high"}),
        examples=graph_examples("""
            x: (2, 3) -> (2, 3) | bound=high
            R.clip(x, 0.0, 6.0)
            R.maximum(x, R.const(0.0, "float32"))
            x: (2, 3) -> (2, 3) | bound=low
            R.clip(x, -2.0, 2.0)
            R.minimum(x, R.const(2.0, "float32"))
        """),
    ),
    _operator(
        name="graph.wrong-slope",
        fault="a slope that is not read, so that the default of another framework holds (0.01 or 0.3; incorrect "
        "frontend conversion, Shen et al. 2021)",
        description="multiplies the slope of a leaky relu by a factor",
        rule=GraphRule(("relax.nn.leakyrelu",), partial(_multiplied, "alpha")),
        parameters=(Parameter("factor", "the factor", 10.0, magnitude=FACTORS),),
        variants=({"factor": 10.0},),
        more_variants=({"factor": 0.0}, {"factor": -1.0}),
        examples=graph_examples("""
            x: (2, 3) -> (2, 3) | factor=2.0
            R.nn.leakyrelu(x, alpha=0.25)
            R.nn.leakyrelu(x, alpha=0.5)
            x: (2, 3) -> (2, 3) | factor=0.0
            R.nn.leakyrelu(x, alpha=0.25)
            R.nn.leakyrelu(x, alpha=0.0)
        """),
    ),
    _operator(
        name="graph.wrong-resize",
        fault="a coordinate convention that differs between formats and their versions (incorrect frontend "
        "conversion, Shen et al. 2021)",
        description="resizes images by another coordinate convention, or by another method",
        rule=GraphRule(("relax.image.resize2d",), _wrong_resize),
        **choice(
            "to",
            "the other convention or method",
            "align_corners asymmetric half_pixel",
            "nearest_neighbor linear cubic",
        ),
        examples=graph_examples("""
            x: (1, 2, 4, 4) -> (1, 2, 8, 8) | to=align_corners
            R.image.resize2d(x, R.shape([8, 8]), coordinate_transformation_mode="half_pixel")
            R.image.resize2d(x, R.shape([8, 8]), coordinate_transformation_mode="align_corners")
            x: (1, 2, 4, 4) -> (1, 2, 8, 8) | to=nearest_neighbor
            R.image.resize2d(x, R.shape([8, 8]), method="linear")
            R.image.resize2d(x, R.shape([8, 8]), method="nearest_neighbor")
        """),
    ),
)

"""Shapes: faults that change the shape of a value; the shapes behind it are inferred anew, or TVM finds a misfit."""

from __future__ import annotations

from functools import partial
from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.examples import graph_examples
from tvm_mutate.operators.parameters import STEPS
from tvm_mutate.operators.relax_calls import integers, static_shape, with_argument, with_attributes
from tvm_mutate.operators.tir_nodes import literal

_CONVOLUTIONS = tuple(f"relax.nn.conv{name}" for name in ("1d", "2d", "3d", "1d_transpose", "2d_transpose"))
_POOLINGS = tuple(f"relax.nn.{kind}_pool{rank}d" for kind in ("max", "avg") for rank in (1, 2, 3))
_REDUCTIONS = tuple(f"relax.{name}" for name in ("mean", "sum", "max", "min", "prod", "variance", "std"))


def _pad(call: Any, parameters: Parameters) -> Any:
    padding, by = integers(call.attrs.padding), int(parameters["by"])
    half = len(padding) // 2
    changed = range(half) if parameters["side"] == "begin" else range(half, len(padding))
    wrong = [width + by if at in changed else width for at, width in enumerate(padding)]
    return with_attributes(call, padding=wrong) if by and min(wrong) >= 0 else None


def _stride(call: Any, parameters: Parameters) -> Any:
    strides = [step + int(parameters["by"]) for step in integers(call.attrs.strides)]
    return with_attributes(call, strides=strides) if int(parameters["by"]) and min(strides) > 0 else None


def _slice_end(call: Any, parameters: Parameters) -> Any:
    shape, ends = static_shape(call.args[0]), [literal(each) for each in call.args[3].fields]
    axes = [literal(each) for each in call.args[1].fields]
    steps = [literal(each) for each in call.args[4].fields] if len(call.args) > 4 else [1] * len(ends)
    if shape is None or None in (*axes, *ends, *steps):
        return None
    axis, end, step = int(axes[-1]), int(ends[-1]), int(steps[-1])  # type: ignore[arg-type]
    if step > 0:  # ends count from the front, and those behind the last element mean the last
        end = min(end, shape[axis]) if end >= 0 else end + shape[axis]
    wrong = end + int(parameters["by"]) * (1 if step > 0 else -1)
    if wrong == end or (step > 0 and not 0 < wrong <= shape[axis]):
        return None
    return with_argument(call, 3, relax.Tuple([*call.args[3].fields[:-1], relax.prim_value(wrong)]))


def _flip(attribute: str, call: Any, _parameters: Parameters) -> Any:
    return with_attributes(call, **{attribute: not getattr(call.attrs, attribute)})


_operator = partial(Operator, slots=(Slot.SHAPE,), category=Category.ATTRIBUTES, by_default=False)
_FRONTEND = "(incorrect frontend conversion and tensor shape problems, Shen et al. 2021)"

OPERATORS = (
    _operator(
        name="shape.pad",
        fault=f"a padding that is read or computed wrongly, as for auto_pad {_FRONTEND}",
        description="widens or narrows the padding of a convolution or pooling on one side of every axis",
        rule=GraphRule((*_CONVOLUTIONS, *_POOLINGS), _pad),
        parameters=(
            Parameter("side", "the side", choices=("begin", "end")),
            Parameter("by", "how much wider", 1, magnitude=STEPS),
        ),
        variants=({"side": "begin", "by": 1}, {"side": "end", "by": -1}),
        more_variants=({"side": "end", "by": 1}, {"side": "begin", "by": -1}),
        examples=graph_examples("""
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) | side=begin by=1
            R.nn.conv2d(x, w, padding=[1, 1, 1, 1])
            R.nn.conv2d(x, w, padding=[2, 2, 1, 1])
        """),
    ),
    _operator(
        name="shape.stride",
        fault=f"a stride that is read wrongly {_FRONTEND}",
        description="makes the strides of a convolution or pooling larger or smaller",
        rule=GraphRule((*_CONVOLUTIONS, *_POOLINGS), _stride),
        parameters=(Parameter("by", "how much larger", 1, magnitude=STEPS),),
        variants=({"by": 1}, {"by": -1}),
        examples=graph_examples("""
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) | by=1
            R.nn.conv2d(x, w)
            R.nn.conv2d(x, w, strides=[2, 2])
        """),
    ),
    _operator(
        name="shape.slice-end",
        fault=f"a slice that ends one element early or late (apache/tvm#19468) {_FRONTEND}",
        description="ends a slice along its last axis further on or earlier, in the direction of the slice",
        rule=GraphRule(("relax.strided_slice",), _slice_end),
        parameters=(Parameter("by", "how much further on", -1, magnitude=STEPS),),
        variants=({"by": -1},),
        more_variants=({"by": 1},),
        examples=graph_examples("""
            x: (2, 8) | by=-1
            R.strided_slice(x, axes=[1], begin=[0], end=[5], strides=[1])
            R.strided_slice(x, axes=[1], begin=[0], end=[4], strides=[1])
            x: (8,) | by=-1
            R.strided_slice(x, axes=[0], begin=[7], end=[-9], strides=[-1])
            R.strided_slice(x, axes=[0], begin=[7], end=[-8], strides=[-1])
        """),
    ),
    _operator(
        name="shape.flip-keepdims",
        fault=f"a default that differs between formats: ONNX keeps reduced dimensions, PyTorch does not {_FRONTEND}",
        description="drops the reduced dimensions of a reduction, or keeps them",
        rule=GraphRule(_REDUCTIONS, partial(_flip, "keepdims")),
        examples=graph_examples("""
            x: (2, 3)
            R.sum(x, axis=[1], keepdims=True)
            R.sum(x, axis=[1], keepdims=False)
        """),
    ),
    _operator(
        name="shape.flip-ceil-mode",
        fault=f"a window at the edge that is rounded in the wrong direction {_FRONTEND}",
        description="rounds the size of a pooling's output up in place of down, or down in place of up",
        rule=GraphRule(_POOLINGS, partial(_flip, "ceil_mode")),
        examples=graph_examples("""
            x: (1, 2, 5, 5)
            R.nn.max_pool2d(x, pool_size=[2, 2], strides=[2, 2])
            R.nn.max_pool2d(x, pool_size=[2, 2], strides=[2, 2], ceil_mode=True)
        """),
    ),
)

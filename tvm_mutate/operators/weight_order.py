"""Weights & Constants: weights in the wrong order, or missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example
from tvm_mutate.operators.layer_weights import LAYERS_WITH_WEIGHTS, weights_of


def _zero_channel(call: Any, parameters: Parameters) -> Any | None:
    weights = weights_of(call)
    channel = int(parameters["channel"])
    if weights is None or not 0 <= channel < weights.values.shape[weights.output_axis]:
        return None
    values = np.array(weights.values)
    np.moveaxis(values, weights.output_axis, 0)[channel] = 0
    return weights.replaced(values)


def _reverse_channels(call: Any, parameters: Parameters) -> Any | None:
    weights = weights_of(call)
    if weights is None:
        return None
    axis = weights.output_axis if parameters["of"] == "output" else weights.input_axis
    return weights.replaced(np.flip(weights.values, axis))


def _flip_kernel(call: Any, _parameters: Parameters) -> Any | None:
    weights = weights_of(call)
    return weights and weights.replaced(np.flip(weights.values, weights.spatial_axes))


ZERO_CHANNEL = Operator(
    name="graph.zero-channel",
    fault="a channel that is never computed, as where a loop over tiles is cut off (incorrect code logic, "
    "Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.CONSTANTS,
    description="sets the weights of one output channel of a convolution or of a matrix to zero",
    rule=GraphRule(LAYERS_WITH_WEIGHTS, _zero_channel),
    parameters=(Parameter("channel", "which output channel, counted from 0", 0),),
    examples=(
        graph_example(
            "x: (1, 2) -> (1, 2)",
            'gv = R.matmul(x, R.const([[1.5, 2.0], [3.0, 4.0]], "float32"))',
            'gv = R.matmul(x, R.const([[1.5, 0.0], [3.0, 0.0]], "float32"))',
            {"channel": 1},
        ),
        graph_example(
            "x: (1, 1, 2, 2) -> (1, 2, 2, 2)",
            'gv = R.nn.conv2d(x, R.const([[[[1.5]]], [[[2.0]]]], "float32"))',
            'gv = R.nn.conv2d(x, R.const([[[[0.0]]], [[[2.0]]]], "float32"))',
        ),
    ),
)

REVERSE_CHANNELS = Operator(
    name="graph.reverse-channels",
    fault="channels in another order, as RGB and BGR (layout problems, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.CONSTANTS,
    description="reverses the order of the output or input channels in the weights of a convolution or of a matrix",
    rule=GraphRule(LAYERS_WITH_WEIGHTS, _reverse_channels),
    parameters=(Parameter("of", "which channels", choices=("output", "input")),),
    variants=({"of": "output"}, {"of": "input"}),
    examples=(
        graph_example(
            "x: (1, 2) -> (1, 2)",
            'gv = R.matmul(x, R.const([[1.5, 2.0], [3.0, 4.0]], "float32"))',
            'gv = R.matmul(x, R.const([[2.0, 1.5], [4.0, 3.0]], "float32"))',
            {"of": "output"},
        ),
        graph_example(
            "x: (1, 2, 2, 2) -> (1, 1, 2, 2)",
            'gv = R.nn.conv2d(x, R.const([[[[1.5]], [[2.0]]]], "float32"))',
            'gv = R.nn.conv2d(x, R.const([[[[2.0]], [[1.5]]]], "float32"))',
            {"of": "input"},
        ),
    ),
)

FLIP_KERNEL = Operator(
    name="graph.flip-kernel",
    fault="convolution in the mathematical sense in place of correlation, as between formats and in lowerings of "
    "transposed convolutions (incorrect code logic, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.CONSTANTS,
    description="turns the window of a convolution's weights by 180 degrees",
    rule=GraphRule(("relax.nn.conv2d",), _flip_kernel),
    examples=(
        graph_example(
            "x: (1, 1, 3, 3) -> (1, 1, 2, 2)",
            'gv = R.nn.conv2d(x, R.const([[[[1.0, 2.0], [3.0, 4.0]]]], "float32"))',
            'gv = R.nn.conv2d(x, R.const([[[[4.0, 3.0], [2.0, 1.0]]]], "float32"))',
        ),
        graph_example(
            "x: (1, 1, 3, 3) -> (1, 1, 3, 2)",
            'gv = R.nn.conv2d(x, R.const([[[[1.0, 2.0]]]], "float32"))',
            'gv = R.nn.conv2d(x, R.const([[[[2.0, 1.0]]]], "float32"))',
        ),
    ),
)

OPERATORS = (ZERO_CHANNEL, REVERSE_CHANNELS, FLIP_KERNEL)

"""Weights & Constants: wrong values of weights, missing weights, and weights in the wrong order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.examples import graph_examples
from tvm_mutate.operators.parameters import FACTORS, choice
from tvm_mutate.operators.relax_calls import CONV2D, MATMUL, integers, is_constant, with_argument

_TRANSPOSE = "relax.permute_dims"
_LARGEST = {"int8": 127, "int4": 7}  # the largest integers of quantised weights


@dataclass(frozen=True)
class _Weights:
    """The constant floating-point weights of a layer: values, argument number and the axes of the channels."""

    values: np.ndarray
    argument: int
    output_axis: int
    input_axis: int
    spatial_axes: tuple[int, ...] = ()


def _weights_of(call: Any) -> _Weights | None:
    # A matrix is often a constant that is transposed before the multiplication: the transposition holds the weights.
    argument = 0 if call.op.name == _TRANSPOSE else 1
    if not is_constant(call.args[argument]):
        return None
    values = call.args[argument].value.numpy()
    if not np.issubdtype(values.dtype, np.floating):
        return None
    if call.op.name == CONV2D:
        layout = call.attrs.kernel_layout
        if sorted(layout) != sorted("OIHW"):
            return None
        spatial = layout.index("H"), layout.index("W")
        return _Weights(values, argument, layout.index("O"), layout.index("I"), spatial)
    if values.ndim != 2:
        return None
    if call.op.name == MATMUL:
        return _Weights(values, argument, 1, 0)
    transposes = call.attrs.axes is None or integers(call.attrs.axes) == [1, 0]
    return _Weights(values, argument, 0, 1) if transposes else None


def _rule(change: Callable[[_Weights, Parameters], np.ndarray | None], *ops: str) -> GraphRule:
    """The rule that gives a layer the weights that ``change`` returns; no site if their bits stay the same."""

    def rewrite(call: Any, parameters: Parameters) -> Any:
        weights = _weights_of(call)
        values = None if weights is None else change(weights, parameters)
        if weights is None or values is None:
            return None
        values = np.ascontiguousarray(values, weights.values.dtype)
        if values.tobytes() == weights.values.tobytes():
            return None
        return with_argument(call, weights.argument, relax.const(values, str(values.dtype)))

    return GraphRule(ops or (CONV2D, MATMUL, _TRANSPOSE), rewrite)


def _flip_bit(weights: _Weights, parameters: Parameters) -> np.ndarray | None:
    element, bit = int(parameters["element"]), int(parameters["bit"])
    bits = np.array(weights.values).view(f"uint{8 * weights.values.itemsize}")
    if not 0 <= element < bits.size or not 0 <= bit < 8 * bits.itemsize:
        return None
    bits.reshape(-1)[element] ^= bits.dtype.type(1 << bit)
    return bits.view(weights.values.dtype)


def _scale(weights: _Weights, parameters: Parameters) -> np.ndarray:
    return weights.values * weights.values.dtype.type(parameters["factor"])


def _quantise(weights: _Weights, parameters: Parameters) -> np.ndarray | None:
    if parameters["type"] == "float16":
        return weights.values.astype("float16")
    step = np.abs(weights.values).max() / _LARGEST[str(parameters["type"])]
    return np.rint(weights.values / step) * step if step > 0 else None


def _zero_channel(weights: _Weights, parameters: Parameters) -> np.ndarray | None:
    channel = int(parameters["channel"])
    if not 0 <= channel < weights.values.shape[weights.output_axis]:
        return None
    values = np.array(weights.values)
    np.moveaxis(values, weights.output_axis, 0)[channel] = 0
    return values


def _reverse_channels(weights: _Weights, parameters: Parameters) -> np.ndarray:
    return np.flip(weights.values, weights.output_axis if parameters["of"] == "output" else weights.input_axis)


def _flip_kernel(weights: _Weights, _parameters: Parameters) -> np.ndarray:
    return np.flip(weights.values, weights.spatial_axes)


_operator = partial(Operator, slots=(Slot.GRAPH,), category=Category.CONSTANTS)

OPERATORS = (
    _operator(
        name="graph.flip-weight-bit",
        fault="a soft error in the memory of the weights, or a constant that is damaged when it is stored "
        "(the fault model of TensorFI and LLTFI)",
        description="flips one bit of one weight of a convolution or of a matrix",
        rule=_rule(_flip_bit),
        parameters=(
            Parameter("bit", "which bit; in float32, 31 is the sign and 30 the highest bit of the exponent", 30),
            Parameter("element", "which weight, counted from 0 in memory order", 0),
        ),
        variants=({"bit": 30}, {"bit": 31}),
        more_variants=({"bit": 23}, {"bit": 22}, {"bit": 0}),
        examples=graph_examples("""
            x: (1, 2) -> (1, 2) | bit=31 element=1
            R.matmul(x, R.const([[1.5, 2.0], [3.0, 4.0]], "float32"))
            R.matmul(x, R.const([[1.5, -2.0], [3.0, 4.0]], "float32"))
            x: (1, 2) -> (1, 1) | bit=22
            lv = R.permute_dims(R.const([[1.5, 2.0]], "float32"), axes=[1, 0]); R.matmul(x, lv)
            lv = R.permute_dims(R.const([[1.0, 2.0]], "float32"), axes=[1, 0]); R.matmul(x, lv)
        """),
    ),
    _operator(
        name="graph.scale-weights",
        fault="a scale that is folded into weights wrongly (plausible where a batch normalisation is folded into "
        "weights, and in frontends of quantised formats)",
        description="multiplies all weights of a convolution or of a matrix by a factor",
        rule=_rule(_scale),
        parameters=(Parameter("factor", "the factor", 1.1, magnitude=FACTORS),),
        variants=({"factor": 1.1}, {"factor": 0.5}),
        more_variants=({"factor": -1.0},),
        examples=graph_examples("""
            x: (1, 2) -> (1, 2) | factor=0.5
            R.matmul(x, R.const([[1.5, 2.0], [3.0, 4.0]], "float32"))
            R.matmul(x, R.const([[0.75, 1.0], [1.5, 2.0]], "float32"))
            x: (1, 1, 2, 2) -> (1, 1, 2, 2) | factor=-1.0
            R.nn.conv2d(x, R.const([[[[1.5]]]], "float32"))
            R.nn.conv2d(x, R.const([[[[-1.5]]]], "float32"))
        """),
    ),
    _operator(
        name="graph.quantise-weights",
        fault="an unwanted conversion that reduces the precision of weights (type problems, Shen et al. 2021)",
        description="rounds the weights of a convolution or of a matrix to a narrower type and back; integers are "
        "symmetric about zero, with one scale for all",
        rule=_rule(_quantise),
        **choice("type", "the type of the rounded weights", "int8 int4", "float16", default="int8"),
        examples=graph_examples("""
            x: (1, 2) -> (1, 2) | type=int4
            R.matmul(x, R.const([[7.0, 0.25], [-3.25, 2.0]], "float32"))
            R.matmul(x, R.const([[7.0, 0.0], [-3.0, 2.0]], "float32"))
            x: (1, 1, 2, 2) -> (1, 1, 2, 2) | type=float16
            R.nn.conv2d(x, R.const([[[[2049.0]]]], "float32"))
            R.nn.conv2d(x, R.const([[[[2048.0]]]], "float32"))
        """),
    ),
    _operator(
        name="graph.zero-channel",
        fault="a channel that is never computed, for example because a loop over tiles ends early (incorrect code "
        "logic, Shen et al. 2021)",
        description="sets the weights of one output channel of a convolution or of a matrix to zero",
        rule=_rule(_zero_channel),
        parameters=(Parameter("channel", "which output channel, counted from 0", 0),),
        examples=graph_examples("""
            x: (1, 2) -> (1, 2) | channel=1
            R.matmul(x, R.const([[1.5, 2.0], [3.0, 4.0]], "float32"))
            R.matmul(x, R.const([[1.5, 0.0], [3.0, 0.0]], "float32"))
            x: (1, 1, 2, 2) -> (1, 2, 2, 2)
            R.nn.conv2d(x, R.const([[[[1.5]]], [[[2.0]]]], "float32"))
            R.nn.conv2d(x, R.const([[[[0.0]]], [[[2.0]]]], "float32"))
        """),
    ),
    _operator(
        name="graph.reverse-channels",
        fault="channels in another order, such as BGR for RGB (layout problems, Shen et al. 2021)",
        description="reverses the order of the output or input channels in the weights of a convolution or of a matrix",
        rule=_rule(_reverse_channels),
        **choice("of", "which channels", "output input"),
        examples=graph_examples("""
            x: (1, 2) -> (1, 2) | of=output
            R.matmul(x, R.const([[1.5, 2.0], [3.0, 4.0]], "float32"))
            R.matmul(x, R.const([[2.0, 1.5], [4.0, 3.0]], "float32"))
            x: (1, 2, 2, 2) -> (1, 1, 2, 2) | of=input
            R.nn.conv2d(x, R.const([[[[1.5]], [[2.0]]]], "float32"))
            R.nn.conv2d(x, R.const([[[[2.0]], [[1.5]]]], "float32"))
        """),
    ),
    _operator(
        name="graph.flip-kernel",
        fault="mathematical convolution in place of correlation, as between formats and in lowerings of transposed "
        "convolutions (incorrect code logic, Shen et al. 2021)",
        description="rotates the window of a convolution's weights by 180 degrees",
        rule=_rule(_flip_kernel, CONV2D),
        examples=graph_examples("""
            x: (1, 1, 3, 3) -> (1, 1, 2, 2)
            R.nn.conv2d(x, R.const([[[[1.0, 2.0], [3.0, 4.0]]]], "float32"))
            R.nn.conv2d(x, R.const([[[[4.0, 3.0], [2.0, 1.0]]]], "float32"))
            x: (1, 1, 3, 3) -> (1, 1, 3, 2)
            R.nn.conv2d(x, R.const([[[[1.0, 2.0]]]], "float32"))
            R.nn.conv2d(x, R.const([[[[2.0, 1.0]]]], "float32"))
        """),
    ),
)

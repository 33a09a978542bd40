"""Weights & Constants: wrong values of weights, missing weights, and weights in the wrong order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tvm_ffi
from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.examples import graph_examples
from tvm_mutate.operators.parameters import FACTORS, choice
from tvm_mutate.operators.relax_calls import (
    BATCH_NORM,
    CONV2D,
    MATMUL,
    TRANSPOSE,
    bound_values,
    integers,
    is_call,
    is_constant,
    static_shape,
    with_argument,
)

_CONVOLUTIONS = (CONV2D, *(f"relax.nn.conv{name}" for name in ("1d", "3d", "1d_transpose", "2d_transpose")))
_LAYERS = (*_CONVOLUTIONS, MATMUL, TRANSPOSE)
# The ops and arguments whose constants are borrowed.
_BORROWED: dict[str, dict[str, tuple[int, ...]]] = {
    "weights": {**dict.fromkeys((*_CONVOLUTIONS, MATMUL), (1,)), TRANSPOSE: (0,)},
    "bias": {"relax.add": (1,), "relax.reshape": (0,)},
    "statistics": {BATCH_NORM: (1, 2, 3, 4)},
}
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
    argument = 0 if call.op.name == TRANSPOSE else 1
    if not is_constant(call.args[argument]):
        return None
    values = call.args[argument].value.numpy()
    if not np.issubdtype(values.dtype, np.floating):
        return None
    if call.op.name in _CONVOLUTIONS:
        layout = call.attrs.kernel_layout
        if len(layout) != values.ndim or not {"O", "I"} < set(layout) <= set("OIDHW"):
            return None
        spatial = tuple(axis for axis, name in enumerate(layout) if name not in "OI")
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

    return GraphRule(ops or _LAYERS, rewrite)


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


def _transpose_channels(weights: _Weights, _parameters: Parameters) -> np.ndarray | None:
    values = np.swapaxes(weights.values, weights.output_axis, weights.input_axis)
    return values if values.shape == weights.values.shape else None


_Given = dict[tuple[Any, ...], list[list[Any]]]


def _kind_of(op: str, arguments: list[Any]) -> tuple[Any, ...]:
    return op, *((static_shape(each), str(each.ty.dtype)) for each in arguments)


def _arguments(call: Any, indices: tuple[int, ...], parameters: Any) -> list[Any]:
    """The arguments at these indices if all are constants or parameters of the function, else none."""
    found = [call.args[index] for index in indices]
    return found if all(is_constant(each) or each in parameters for each in found) else []


def _given(function: relax.Function) -> _Given:
    """The constants and parameters that layers take, by operator, shape and type, in the order of the layers."""
    known: _Given = {}
    parameters = set(function.params)
    calls = [value for value in bound_values(function).values() if is_call(value)]
    for ops in _BORROWED.values():
        for call in calls:
            arguments = _arguments(call, ops.get(call.op.name, ()), parameters)
            if arguments:
                known.setdefault(_kind_of(call.op.name, arguments), []).append(arguments)
    return known


def _borrow(call: Any, parameters: Parameters, given: _Given) -> Any:
    indices = _BORROWED[str(parameters["of"])].get(call.op.name)
    if indices is None:
        return None
    own = [call.args[index] for index in indices]
    alike = given.get(_kind_of(call.op.name, own), [])
    at = next(
        (at for at, each in enumerate(alike) if all(one.same_as(mine) for one, mine in zip(each, own, strict=True))),
        None,
    )
    if at is None or len(alike) == 1:
        return None
    other = alike[at - 1 if at else 1]
    if all(map(tvm_ffi.structural_equal, own, other)):
        return None
    for index, argument in zip(indices, other, strict=True):
        call = with_argument(call, index, argument)
    return call


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
        rule=_rule(_flip_kernel, *_CONVOLUTIONS),
        examples=graph_examples("""
            x: (1, 1, 3, 3) -> (1, 1, 2, 2)
            R.nn.conv2d(x, R.const([[[[1.0, 2.0], [3.0, 4.0]]]], "float32"))
            R.nn.conv2d(x, R.const([[[[4.0, 3.0], [2.0, 1.0]]]], "float32"))
            x: (1, 1, 3, 3) -> (1, 1, 3, 2)
            R.nn.conv2d(x, R.const([[[[1.0, 2.0]]]], "float32"))
            R.nn.conv2d(x, R.const([[[[2.0, 1.0]]]], "float32"))
        """),
    ),
    _operator(
        name="graph.transpose-weights",
        fault="weights that are read with output and input channels exchanged, which only their shape could reveal "
        "(apache/tvm#17968: OIW for IOW)",
        description="exchanges output and input channels in the weights of a convolution or of a matrix, if there are "
        "equally many",
        rule=_rule(_transpose_channels),
        examples=graph_examples("""
            x: (1, 2) -> (1, 2)
            R.matmul(x, R.const([[1.5, 2.0], [3.0, 4.0]], "float32"))
            R.matmul(x, R.const([[1.5, 3.0], [2.0, 4.0]], "float32"))
            x: (1, 2, 2) -> (1, 2, 2)
            R.nn.conv1d_transpose(x, R.const([[[1.5], [2.0]], [[3.0], [4.0]]], "float32"))
            R.nn.conv1d_transpose(x, R.const([[[1.5], [3.0]], [[2.0], [4.0]]], "float32"))
        """),
    ),
    _operator(
        name="graph.borrow-weights",
        fault="constants of another layer, for example after two fused functions are merged that differ in their "
        "weights only (apache/tvm#19801)",
        description="gives a layer the weights, bias or statistics of the layer before it with the same operator and "
        "shapes, or of the next one",
        rule=GraphRule(tuple(op for ops in _BORROWED.values() for op in ops), _borrow, _given),
        **choice("of", "what is borrowed", "weights bias", "statistics"),
        examples=graph_examples("""
            x: (1, 1), v: (1, 1), w: (1, 1) -> (1, 1) | of=weights sites=1
            lv = R.matmul(x, v); R.matmul(lv, w)
            lv = R.matmul(x, v); R.matmul(lv, v)
            x: (2, 3), b: (3,), c: (3,) -> (2, 3) | of=bias sites=0
            lv = R.add(x, b); R.add(lv, c)
            lv = R.add(x, c); R.add(lv, c)
        """),
    ),
)

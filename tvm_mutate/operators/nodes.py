"""The graph operators of MutateNN: node inputs and outputs, arithmetic nodes, layer nodes, memory layouts."""

from __future__ import annotations

from functools import partial
from typing import Any

import tvm
import tvm_ffi
from tvm import relax

from tvm_mutate.mutant import Category, FunctionRule, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.examples import graph_examples
from tvm_mutate.operators.parameters import replacement
from tvm_mutate.operators.relax_calls import (
    BATCH_NORM,
    CONV2D,
    MATMUL,
    is_float_tensor,
    static_shape,
    swapped,
    with_argument,
    with_attributes,
    with_function,
)

_NODES = {
    "conv2d": (CONV2D,),
    "matmul": (MATMUL,),
    "conv2d-matmul": (CONV2D, MATMUL),
    "batch-norm": (BATCH_NORM,),
}
_OPS = (CONV2D, MATMUL, BATCH_NORM)
_UNARY = ("exp", "round", "abs", "negative", "sigmoid", "tanh")
_ARITHMETIC = ("add", "subtract", "multiply", "divide")
# The pair of the paper comes first; image networks add residuals and biases, and hardly use the other three.
_REPLACED = {"relu": ("relax.nn.relu",), "clip": ("relax.clip", "relax.nn.relu6")}
_ACTIVATIONS = {
    "sigmoid": relax.op.sigmoid,
    "tanh": relax.op.tanh,
    "identity": lambda data: data,
    "leaky-relu": relax.op.nn.leakyrelu,
}
_CONV2D_LAYOUTS = {"NHWC": ["NHWC", "OHWI"]}


def _swapping_axes(shape: tuple[int, ...]) -> list[int] | None:
    """The permutation that swaps the last two equal dimensions, so that later nodes see the shape they expect."""
    for last in reversed(range(len(shape))):
        for other in reversed(range(last)):
            if shape[other] == shape[last] > 1:
                return swapped(range(len(shape)), other, last)
    return None


def _insert_transpose(call: Any, parameters: Parameters) -> Any:
    index = int(parameters["argument"])
    if call.op.name not in _NODES[str(parameters["before"])] or (call.op.name == BATCH_NORM and index != 0):
        return None
    shape = static_shape(call.args[index])
    axes = _swapping_axes(shape) if shape else None
    return with_argument(call, index, relax.op.permute_dims(call.args[index], axes)) if axes else None


def _insert_unary(call: Any, parameters: Parameters) -> Any:
    after = parameters["position"] == "after"
    value = call if after else call.args[0]
    if call.op.name not in _NODES[str(parameters["at"])] or not is_float_tensor(value.ty):
        return None
    applied = getattr(relax.op, str(parameters["function"]))(value)
    return applied if after else with_argument(call, 0, applied)


def _replace_arithmetic(call: Any, parameters: Parameters) -> Any:
    before, after = str(parameters["from"]), str(parameters["to"])
    if before == after or call.op.name != f"relax.{before}":
        return None
    return getattr(relax.op, after)(*call.args)


def _replace_activation(call: Any, parameters: Parameters) -> Any:
    if call.op.name not in _REPLACED[str(parameters["from"])]:
        return None
    return _ACTIVATIONS[str(parameters["to"])](call.args[0])


def _replace_pooling(call: Any, parameters: Parameters) -> Any:
    before, after = parameters["from"], parameters["to"]
    if before == after or call.op.name != f"relax.nn.{before}_pool2d":
        return None
    pooling = relax.Call(tvm.ir.Op.get(f"relax.nn.{after}_pool2d"), call.args, call.attrs)
    return with_attributes(pooling, count_include_pad=False)


def _convert_layout(module: tvm.IRModule, name: str, parameters: Parameters) -> tvm.IRModule | None:
    layouts = {CONV2D: _CONV2D_LAYOUTS[str(parameters["layout"])]}
    # The pass converts every function of a module, the rule is for one.
    converted = relax.transform.ConvertLayout(layouts)(module)[name]
    return None if tvm_ffi.structural_equal(converted, module[name]) else with_function(module, name, converted)


_operator = partial(Operator, slots=(Slot.GRAPH,), paper=True)
_layer = partial(
    _operator,
    category=Category.LAYER_NODE,
    fault="a layer that is imported or rewritten as another layer of its family (Shen et al. 2021)",
)

OPERATORS = (
    _operator(
        name="graph.insert-transpose",
        category=Category.NODE_INPUT_OUTPUT,
        fault="axes that are exchanged between two layers (tensor shape problems, Shen et al. 2021)",
        description="swaps two equal dimensions of a node's argument: the last two that are equal and larger than 1",
        rule=GraphRule(_OPS, _insert_transpose),
        parameters=(
            Parameter("before", "the nodes whose argument is transposed", choices=tuple(_NODES)),
            Parameter("argument", "which argument: 0 the data, 1 the weights (not of batch-norm)", 0, ("0", "1")),
        ),
        variants=(
            {"before": "conv2d"},
            {"before": "matmul"},
            {"before": "conv2d-matmul"},
            {"before": "conv2d-matmul", "argument": 1},
            {"before": "batch-norm"},
        ),
        examples=graph_examples("""
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 6, 6) | before=conv2d
            R.nn.conv2d(x, w)
            R.nn.conv2d(R.permute_dims(x, axes=[0, 1, 3, 2]), w)
            x: (2, 5), w: (5, 5) -> (2, 5) | before=conv2d-matmul argument=1
            R.matmul(x, w)
            R.matmul(x, R.permute_dims(w, axes=[1, 0]))
        """),
    ),
    _operator(
        name="graph.insert-unary",
        category=Category.NODE_INPUT_OUTPUT,
        fault="a rewrite that adds a layer (incorrect graph transformation, Shen et al. 2021)",
        description="applies an elementwise function to the data of a node, or to the output of the node",
        rule=GraphRule(_OPS, _insert_unary),
        parameters=(
            Parameter("function", "the function that is applied", "exp", _UNARY),
            Parameter("position", "before or after the node (batch-norm: before only)", "before", ("before", "after")),
            Parameter("at", "the nodes before or after which the function is applied", choices=tuple(_NODES)),
        ),
        variants=(
            {"function": "exp", "position": "before", "at": "conv2d-matmul"},
            {"function": "exp", "position": "after", "at": "conv2d-matmul"},
            {"function": "exp", "position": "before", "at": "batch-norm"},
            {"function": "round", "position": "before", "at": "batch-norm"},
        ),
        examples=graph_examples("""
            x: (2, 3), w: (3, 4) -> (2, 4) | position=after at=conv2d-matmul
            R.matmul(x, w)
            R.exp(R.matmul(x, w))
        """),
    ),
    _operator(
        name="graph.replace-arithmetic",
        category=Category.ARITHMETIC_NODE,
        fault="a frontend or rewrite that takes an operator for a similar one (wrong operator mapping, Shen et al. "
        "2021)",
        description="replaces an elementwise addition, subtraction, multiplication or division by another of these",
        rule=GraphRule(tuple(f"relax.{name}" for name in _ARITHMETIC), _replace_arithmetic),
        **replacement("node", "add>subtract add>multiply add>divide", _ARITHMETIC),
        examples=graph_examples("""
            x: (2, 3), y: (3,) -> (2, 3) | from=add to=subtract sites=1
            R.add(x, R.add(x, y))
            R.subtract(x, R.add(x, y))
        """),
    ),
    _layer(
        name="graph.replace-activation",
        description="replaces an activation layer by another one, or removes it",
        rule=GraphRule(tuple(op for ops in _REPLACED.values() for op in ops), _replace_activation),
        parameters=(
            Parameter("from", "the activation that is replaced (clip includes relu6)", "relu", tuple(_REPLACED)),
            Parameter("to", "the activation that takes its place", choices=tuple(_ACTIVATIONS)),
        ),
        variants=tuple({"from": before, "to": after} for before in _REPLACED for after in _ACTIVATIONS),
        examples=graph_examples("""
            x: (2, 3) -> (2, 3) | to=sigmoid
            R.nn.relu(x)
            R.sigmoid(x)
            x: (2, 3) -> (2, 3) | from=clip to=identity
            R.negative(R.clip(R.exp(x), 0, 6))
            lv = R.exp(x); lv1 = lv; R.negative(lv1)
        """),
    ),
    _layer(
        name="graph.replace-pooling",
        description="replaces maximum pooling by average pooling or the reverse, with the same window",
        rule=GraphRule(("relax.nn.max_pool2d", "relax.nn.avg_pool2d"), _replace_pooling),
        **replacement("pooling", "max>avg avg>max", ("max", "avg")),
        examples=graph_examples("""
            x: (1, 2, 8, 8) -> (1, 2, 4, 4) | from=max to=avg
            R.nn.max_pool2d(x, pool_size=[3, 3], strides=[2, 2], padding=[1, 1, 1, 1])
            R.nn.avg_pool2d(x, pool_size=[3, 3], strides=[2, 2], padding=[1, 1, 1, 1])
        """),
    ),
    _operator(
        name="graph.convert-layout",
        category=Category.NODE_INPUT_OUTPUT,
        fault="data that is read in another layout than it was written in (layout problems, Shen et al. 2021)",
        description="computes all 2-d convolutions of a function in another layout, which should change rounding only",
        rule=FunctionRule(_convert_layout),
        parameters=(Parameter("layout", "the layout of the convolutions' data", "NHWC", tuple(_CONV2D_LAYOUTS)),),
        examples=graph_examples("""
            x: (1, 2, 8, 8), w: (4, 2, 3, 3) -> (1, 4, 6, 6)
            R.nn.conv2d(x, w)
            R.permute_dims(R.nn.conv2d(R.permute_dims(x, axes=[0, 2, 3, 1]), R.permute_dims(w, axes=[0, 2, 3, 1]), \
            data_layout="NHWC", kernel_layout="OHWI", out_layout="NHWC"), axes=[0, 3, 1, 2])
        """),
    ),
)

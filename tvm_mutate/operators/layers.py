"""Layers that are replaced, dropped, repeated or inserted, and operands that are lost, repeated or exchanged."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import relax

from tvm_mutate.mutant import Category, FunctionRule, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.examples import graph_examples
from tvm_mutate.operators.parameters import choice, replacement
from tvm_mutate.operators.relax_calls import (
    BATCH_NORM,
    CONV2D,
    MATMUL,
    bound_values,
    first_pair_of_one_type,
    is_call,
    is_constant,
    is_float_tensor,
    same_type,
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
_REPLACED = {"relu": ("relax.nn.relu",), "clip": ("relax.clip", "relax.nn.relu6")}
_ACTIVATIONS = {
    "sigmoid": relax.op.sigmoid,
    "tanh": relax.op.tanh,
    "identity": lambda data: data,
    "leaky-relu": relax.op.nn.leakyrelu,
}
_CONV2D_LAYOUTS = {"NHWC": ["NHWC", "OHWI"]}
_ADD, _CONCAT = "relax.add", "relax.concat"
_IDEMPOTENT = ("relax.nn.relu", "relax.clip")  # a second application changes nothing
_KINDS = {
    "normalisation": (
        BATCH_NORM,
        "relax.nn.layer_norm",
        "relax.nn.group_norm",
        "relax.nn.instance_norm",
        "relax.nn.rms_norm",
    ),
    "pooling": ("relax.nn.max_pool2d", "relax.nn.avg_pool2d"),
    "linear": (CONV2D, MATMUL),
    "activation": (
        *_IDEMPOTENT,
        "relax.sigmoid",
        "relax.tanh",
        "relax.nn.leakyrelu",
        "relax.nn.gelu",
        "relax.nn.silu",
        "relax.nn.softmax",
        "relax.nn.log_softmax",
    ),
}
_DROPPED = {
    **_KINDS,
    "rearrangement": ("relax.flip", "relax.reverse_sequence", "relax.sort", "relax.strided_slice", "relax.take"),
    "unary": (
        *(f"relax.{name}" for name in ("abs", "square", "sqrt", "rsqrt", "exp", "log", "negative", "sign", "erf")),
        *(f"relax.{name}" for name in ("floor", "ceil", "round", "trunc", "sin", "cos", "tril", "triu")),
    ),
}
_NEUTRAL = {"multiply": 1, "divide": 1, "subtract": 0}  # the second operands that change nothing
# The outer call of a pair to the inner calls that it undoes, if no value is lost in between.
_INVERSES = {
    "cast": {"astype": ("astype",)},
    "quantisation": {"dequantize": ("quantize",)},
    "functions": {"exp": ("log",), "log": ("exp",), "sqrt": ("square",), "square": ("sqrt",), "tan": ("atan",)},
}
_FIRST_OF_TWO = {"subtract": 0, "divide": 0, "power": 0, "where": 1}  # the first of the two exchanged operands
_EXCHANGES = ("concat", *_FIRST_OF_TWO)
_CAST_AFTER = {
    "linear": (CONV2D, MATMUL),
    "activation": ("relax.nn.relu", "relax.clip", "relax.sigmoid", "relax.tanh", "relax.nn.silu", "relax.nn.gelu"),
}


def _swapping_axes(shape: tuple[int, ...]) -> list[int] | None:
    """The permutation that swaps the last two equal dimensions, so that later nodes see the shape they expect."""
    pairs = itertools.combinations(reversed(range(len(shape))), 2)
    pair = next((pair for pair in pairs if shape[pair[0]] == shape[pair[1]] > 1), None)
    return swapped(range(len(shape)), *pair) if pair else None


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


def _drop_layer(call: Any, parameters: Parameters) -> Any:
    if call.op.name not in _DROPPED[str(parameters["kind"])]:
        return None
    data = call.args[0]
    if call.op.name == BATCH_NORM:
        return relax.Tuple([data, call.args[3], call.args[4]])  # a batch normalisation also returns its statistics
    return data if same_type(call, data) else None


def _repeat_layer(call: Any, parameters: Parameters) -> Any:
    if call.op.name not in _KINDS[str(parameters["kind"])] or call.op.name in _IDEMPOTENT:
        return None
    if call.op.name == BATCH_NORM:
        return with_argument(call, 0, relax.TupleGetItem(call, 0))
    return with_argument(call, 0, call) if same_type(call, call.args[0]) else None


def _first_pair(values: Sequence[Any]) -> tuple[int, int] | None:
    """The first two different values, by index."""
    second = next((index for index, value in enumerate(values) if not value.same_as(values[0])), None)
    return (0, second) if second else None


def _joins_two_branches(call: Any) -> bool:
    """Whether an addition joins the outputs of two layers, as in a residual connection; false for a bias."""
    return all(same_type(operand, call) and not is_constant(operand) for operand in call.args)


def _drop_operand(call: Any, parameters: Parameters) -> Any:
    at = str(parameters["at"])
    if call.op.name != f"relax.{at}":
        return None
    kept, dropped = call.args if parameters["keep"] == "first" else call.args[::-1]
    if at == "add":
        return kept if _joins_two_branches(call) else None
    neutral = is_constant(dropped) and bool(np.all(dropped.value.numpy() == _NEUTRAL[at]))
    return kept if same_type(kept, call) and not is_constant(kept) and not neutral else None


def _undistribute(call: Any, parameters: Parameters, values: Mapping[Any, Any]) -> Any:
    scaled = 0 if parameters["scaled"] == "first" else 1
    sides = (0,) if call.op.name == "relax.divide" else (0, 1)
    for side in sides:
        total: Any = values.get(call.args[side])
        if not is_call(total, _ADD, "relax.subtract") or not same_type(total, call):
            continue
        terms = list(total.args)
        scale = with_argument(call, side, terms[scaled])
        terms[scaled] = relax.Call(scale.op, scale.args)
        return relax.Call(total.op, terms)
    return None


def _drop_pair(call: Any, parameters: Parameters, values: Mapping[Any, Any]) -> Any:
    undone = _INVERSES[str(parameters["kind"])].get(call.op.name.removeprefix("relax."), ())
    inner: Any = values.get(call.args[0])
    if not undone or not is_call(inner, *(f"relax.{name}" for name in undone)):
        return None
    return inner.args[0] if same_type(inner.args[0], call) else None


def _drop_bias(call: Any, _parameters: Parameters) -> Any:
    for data, bias in (call.args, reversed(call.args)):
        shape = static_shape(bias)
        if shape is None or not same_type(data, call) or is_constant(data):
            continue
        along_one_axis = sum(extent > 1 for extent in shape) <= 1 and not same_type(bias, call)
        if along_one_axis or (is_constant(bias) and prod(shape) == max(shape, default=1)):
            return data
    return None


def _repeat_operand(call: Any, parameters: Parameters) -> Any:
    if call.op.name != f"relax.{parameters['at']}":
        return None
    if call.op.name == _ADD:
        one, other = call.args
        return relax.op.add(one, one) if _joins_two_branches(call) and not one.same_as(other) else None
    if not isinstance(call.args[0], relax.Tuple):
        return None
    parts = list(call.args[0].fields)
    pair = first_pair_of_one_type(parts)
    if pair is None:
        return None
    parts[pair[1]] = parts[pair[0]]
    return relax.op.concat(parts, int(call.attrs.axis))


def _swap_operands(call: Any, parameters: Parameters) -> Any:
    at = str(parameters["at"])
    if call.op.name != f"relax.{at}":
        return None
    if at == "concat":
        if not isinstance(call.args[0], relax.Tuple):
            return None
        parts = call.args[0].fields
        pair = first_pair_of_one_type(parts) or _first_pair(parts)
        return relax.op.concat(swapped(parts, *pair), int(call.attrs.axis)) if pair else None
    first = _FIRST_OF_TWO[at]
    if call.args[first].same_as(call.args[first + 1]):
        return None
    return relax.Call(call.op, swapped(call.args, first, first + 1), call.attrs, call.ty_args)


def _swap_parts(call: Any, _parameters: Parameters) -> Any:
    kinds = list(call.ty.fields)
    pairs = itertools.combinations(range(len(kinds)), 2)
    pair = next((pair for pair in pairs if tvm_ffi.structural_equal(kinds[pair[0]], kinds[pair[1]])), None)
    parts = [relax.TupleGetItem(call, index) for index in range(len(kinds))]
    return relax.Tuple(swapped(parts, *pair)) if pair else None


def _insert_cast(call: Any, parameters: Parameters) -> Any:
    if call.op.name not in _CAST_AFTER[str(parameters["after"])] or str(call.ty.dtype) != "float32":
        return None
    return relax.op.astype(relax.op.astype(call, str(parameters["type"])), "float32")


def _kind(kinds: Iterable[str]) -> tuple[Parameter]:
    return (Parameter("kind", "which layers, if output and data have the same type", choices=tuple(kinds)),)


_paper = partial(Operator, slots=(Slot.GRAPH,), paper=True)
_layer_by_layer = partial(
    _paper,
    category=Category.LAYER_NODE,
    fault="a layer that is imported or rewritten as another layer of its family (Shen et al. 2021)",
)
_operator = partial(Operator, slots=(Slot.GRAPH,), category=Category.GRAPH_STRUCTURE)
_LAYERS = ({"kind": "normalisation"}, {"kind": "pooling"}, {"kind": "linear"})
_layer = partial(
    _operator,
    # The default mutants of graph.replace-activation already remove relu and clip.
    more_variants=({"kind": "activation"},),
)

OPERATORS = (
    _paper(
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
    _paper(
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
    _paper(
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
    _layer_by_layer(
        name="graph.replace-activation",
        description="replaces an activation layer by another one, or removes it",
        rule=GraphRule(tuple(itertools.chain(*_REPLACED.values())), _replace_activation),
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
    _layer_by_layer(
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
    _paper(
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
    _layer(
        name="graph.drop-layer",
        fault="a frontend or a rewrite that loses a layer (incorrect graph transformation, Shen et al. 2021)",
        description="removes a layer whose output has the type of its data; the data take the place of the output",
        rule=GraphRule(tuple(itertools.chain(*_DROPPED.values())), _drop_layer),
        parameters=_kind(_DROPPED),
        variants=(*_LAYERS, {"kind": "rearrangement"}, {"kind": "unary"}),
        examples=graph_examples("""
            x: (2, 3) -> (2, 3) | kind=rearrangement sites=1
            lv = R.flip(x, axis=0); R.flip(lv, axis=1)
            lv = R.flip(x, axis=0); lv
            x: (1, 4, 8, 8), w: (4, 4, 3, 3) -> (1, 4, 8, 8) | kind=linear
            lv = R.nn.conv2d(x, w, padding=[1, 1, 1, 1]); R.nn.relu(lv)
            lv = x; R.nn.relu(lv)
            x: (1, 4, 8, 8), g: (4,), b: (4,), m: (4,), v: (4,) -> (1, 4, 8, 8) | kind=normalisation
            lv = R.nn.batch_norm(x, g, b, m, v, axis=1); lv[0]
            lv = (x, m, v); lv[0]
        """),
    ),
    _layer(
        name="graph.repeat-layer",
        fault="a rewrite that keeps a layer beside its replacement (incorrect graph transformation, Shen et al. 2021)",
        description="applies a layer once more to its own output, if output and data have the same type",
        rule=GraphRule(tuple(itertools.chain(*_KINDS.values())), _repeat_layer),
        parameters=_kind(_KINDS),
        variants=_LAYERS,
        examples=graph_examples("""
            x: (1, 4, 8, 8) -> (1, 4, 8, 8) | kind=pooling
            R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1])
            lv = R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1]); \
            R.nn.avg_pool2d(lv, pool_size=[3, 3], padding=[1, 1, 1, 1])
            x: (1, 4, 8, 8), g: (4,), b: (4,), m: (4,), v: (4,) -> (1, 4, 8, 8) | kind=normalisation
            lv = R.nn.batch_norm(x, g, b, m, v, axis=1); lv[0]
            lv = R.nn.batch_norm(x, g, b, m, v, axis=1); lv1 = lv[0]; \
            lv2 = R.nn.batch_norm(lv1, g, b, m, v, axis=1); lv2[0]
        """),
    ),
    _operator(
        name="graph.drop-operand",
        fault="a residual connection or its main branch is lost (incorrect graph transformation, Shen et al. 2021); a "
        "factor that a converter leaves out (apache/tvm#19512, #15497)",
        description="removes one operand of an addition that joins two branches of the network, or a factor, divisor "
        "or subtrahend",
        rule=GraphRule((_ADD, *(f"relax.{name}" for name in _NEUTRAL)), _drop_operand),
        parameters=(
            Parameter("keep", "the operand that remains", choices=("first", "second")),
            Parameter("at", "the nodes whose operand is dropped", "add", ("add", *_NEUTRAL)),
        ),
        variants=({"keep": "first"}, {"keep": "second"}, {"keep": "first", "at": "multiply"}),
        more_variants=(
            {"keep": "second", "at": "multiply"},
            {"keep": "first", "at": "divide"},
            {"keep": "first", "at": "subtract"},
            {"keep": "second", "at": "subtract"},
        ),
        examples=graph_examples("""
            x: (2, 3) -> (2, 3) | keep=second
            lv = R.nn.relu(x); R.add(x, lv)
            lv = R.nn.relu(x); lv
            x: (2, 3), y: (2, 3), b: (3,) -> (2, 3) | keep=first
            lv = R.add(x, y); R.add(lv, b)
            lv = x; R.add(lv, b)
            x: (2, 3) -> (2,) | keep=first at=multiply
            lv = R.variance(x, axis=[1]); R.multiply(lv, R.const(1.5, "float32"))
            lv = R.variance(x, axis=[1]); lv
        """),
    ),
    _operator(
        name="graph.drop-bias",
        category=Category.CONSTANTS,
        fault="a frontend that ignores an optional bias (incorrect frontend conversion, Shen et al. 2021)",
        description="removes the addition of a bias: a tensor with one value for each channel, or one value for all",
        rule=GraphRule((_ADD,), _drop_bias),
        examples=graph_examples("""
            x: (2, 3), b: (3,) -> (2, 3)
            R.add(x, b)
            x
            x: (1, 4, 8, 8), w: (4, 4, 1, 1), b: (1, 4, 1, 1) -> (1, 4, 8, 8)
            lv = R.nn.conv2d(x, w); R.add(b, lv)
            lv = R.nn.conv2d(x, w); lv
        """),
    ),
    _operator(
        name="graph.repeat-operand",
        fault="a value that is read in place of another value of the same shape, for example because two values share "
        "storage by mistake (plausible in StaticPlanBlockMemory and in common subexpression elimination)",
        description="reads one operand twice, if two operands of an addition or concatenation have the same type",
        rule=GraphRule((_ADD, _CONCAT), _repeat_operand),
        **choice("at", "the nodes whose operand is repeated", "add concat"),
        examples=graph_examples("""
            x: (2, 3), y: (2, 3) -> (2, 3) | at=add
            R.add(x, y)
            R.add(x, x)
            x: (2, 1), y: (2, 3), z: (2, 3) -> (2, 7) | at=concat
            R.concat((x, y, z), axis=1)
            R.concat((x, y, y), axis=1)
        """),
    ),
    _operator(
        name="graph.swap-operands",
        fault="operands that are passed in the wrong order (incorrect code logic, Shen et al. 2021)",
        description="exchanges the two operands of a difference, quotient, power or where, or the first two operands "
        "of a concatenation, of the same type if there are such",
        rule=GraphRule(tuple(f"relax.{name}" for name in _EXCHANGES), _swap_operands),
        **choice("at", "the nodes whose operands are exchanged", "concat subtract divide power where"),
        examples=graph_examples("""
            x: (2, 3), y: (3,) -> (2, 3) | at=subtract
            R.subtract(x, y)
            R.subtract(y, x)
            x: (2, 3), y: (2, 1), z: (2, 3) -> (2, 7) | at=concat
            R.concat((x, y, z), axis=1)
            R.concat((z, y, x), axis=1)
            x: (2, 3), y: (2, 3) -> (2, 3) | at=where
            lv = R.less(x, y); R.where(lv, x, y)
            lv = R.less(x, y); R.where(lv, y, x)
        """),
    ),
    _operator(
        name="graph.swap-parts",
        fault="outputs of a node that are numbered in the wrong order (incorrect code logic, Shen et al. 2021)",
        description="exchanges the first two parts of a split that have the same type",
        rule=GraphRule(("relax.split",), _swap_parts),
        examples=graph_examples("""
            x: (2, 6) -> (2, 3)
            lv = R.split(x, indices_or_sections=2, axis=1); lv[0]
            lv = R.split(x, indices_or_sections=2, axis=1); lv1 = lv[1]; lv2 = lv[0]; lv3 = (lv1, lv2); lv3[0]
            x: (2, 5) -> (2, 2)
            lv = R.split(x, indices_or_sections=[1, 3], axis=1); lv[2]
            lv = R.split(x, indices_or_sections=[1, 3], axis=1); lv1 = lv[0]; lv2 = lv[2]; lv3 = lv[1]; \
            lv4 = (lv1, lv2, lv3); lv4[2]
        """),
    ),
    _operator(
        name="graph.insert-cast",
        fault="a value that mixed precision leaves in a narrower type (type problems, the most frequent class of "
        "Shen et al. 2021)",
        description="converts the float32 output of a layer to another type and back",
        rule=GraphRule(tuple(itertools.chain(*_CAST_AFTER.values())), _insert_cast),
        parameters=(
            # Not bfloat16: TVM computes bfloat16 in float32 inside a kernel, so that no precision is lost.
            Parameter("type", "the type to which values are converted", "float16", ("float16", "int32")),
            Parameter("after", "convolutions and matrix products, or activations", "linear", tuple(_CAST_AFTER)),
        ),
        variants=({"type": "float16"}, {"type": "int32", "after": "activation"}),
        more_variants=({"type": "float16", "after": "activation"}, {"type": "int32"}),
        examples=graph_examples("""
            x: (2, 3), w: (3, 4) -> (2, 4)
            R.matmul(x, w)
            lv = R.matmul(x, w); lv1 = R.astype(lv, dtype="float16"); R.astype(lv1, dtype="float32")
            x: (2, 3) -> (2, 3) | type=int32 after=activation
            R.nn.relu(x)
            lv = R.nn.relu(x); lv1 = R.astype(lv, dtype="int32"); R.astype(lv1, dtype="float32")
        """),
    ),
    _operator(
        name="graph.undistribute-scale",
        category=Category.ARITHMETIC_NODE,
        fault="a factor that a rewrite distributes over a sum, and applies to one term only (incorrect graph "
        "transformation, Shen et al. 2021)",
        description="multiplies or divides only one term of a sum or difference, where the whole is scaled",
        rule=GraphRule(("relax.multiply", "relax.divide"), _undistribute, bound_values),
        **choice("scaled", "the term that is still scaled", "first second"),
        examples=graph_examples("""
            x: (2, 3), y: (3,) -> (2, 3) | scaled=first
            lv = R.add(x, y); R.multiply(lv, R.const(0.5, "float32"))
            lv = R.add(x, y); lv1 = R.multiply(x, R.const(0.5, "float32")); R.add(lv1, y)
            x: (2, 3), y: (2, 3) -> (2, 3) | scaled=second
            lv = R.subtract(x, y); R.divide(lv, R.const(0.5, "float32"))
            lv = R.subtract(x, y); lv1 = R.divide(y, R.const(0.5, "float32")); R.subtract(x, lv1)
        """),
    ),
    _operator(
        name="graph.drop-pair",
        fault="a pair that a rewrite takes for inverses although the inner one loses values, such as a rounding to "
        "bfloat16 between two operations (pytorch/pytorch#132301)",
        description="removes a cast down and back, a quantisation with its dequantisation, or a function with its "
        "inverse",
        rule=GraphRule(
            tuple(f"relax.{outer}" for pairs in _INVERSES.values() for outer in pairs), _drop_pair, bound_values
        ),
        **choice("kind", "the pairs that are removed", "cast quantisation", "functions"),
        examples=graph_examples("""
            x: (2, 3) -> (2, 3) | kind=cast
            lv = R.astype(x, dtype="float16"); R.astype(lv, dtype="float32")
            lv = R.astype(x, dtype="float16"); x
            x: (2, 3) -> (2, 3) | kind=functions
            lv = R.square(x); R.sqrt(lv)
            lv = R.square(x); x
        """),
    ),
)

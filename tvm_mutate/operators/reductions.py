"""Layer Attributes: what averages are made of, in poolings and over whole images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example, integers, with_attributes
from tvm_mutate.operators.replacements import replacing, replacing_others

_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "mean": relax.op.mean,
    "max": relax.op.max,
    "sum": relax.op.sum,
    "min": relax.op.min,
}
_NAMES = tuple(_REDUCTIONS)
_DEFAULT_PAIRS = (("mean", "max"), ("mean", "sum"))


def _flip(call: Any, _parameters: Parameters) -> Any | None:
    if not any(integers(call.attrs.padding)):
        return None
    return with_attributes(call, count_include_pad=not call.attrs.count_include_pad)


def _replace(call: Any, parameters: Parameters) -> Any | None:
    before, after = str(parameters["from"]), str(parameters["to"])
    if before == after or call.op.name != f"relax.{before}":
        return None
    axes = None if call.attrs.axis is None else integers(call.attrs.axis)
    return _REDUCTIONS[after](call.args[0], axes, bool(call.attrs.keepdims))


FLIP_COUNT_INCLUDE_PAD = Operator(
    name="graph.flip-count-include-pad",
    fault="a default that differs between formats: PyTorch counts the padding, ONNX does not (incorrect frontend "
    "conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="counts the padding in the averages of a padded pooling, or stops to count it",
    rule=GraphRule(("relax.nn.avg_pool2d",), _flip),
    examples=(
        graph_example(
            "x: (1, 2, 8, 8) -> (1, 2, 8, 8)",
            "gv = R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1])",
            "gv = R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1], count_include_pad=True)",
        ),
        graph_example(
            "x: (1, 2, 8, 8) -> (1, 2, 4, 4)",
            "gv = R.nn.avg_pool2d(x, pool_size=[3, 3], strides=[2, 2], padding=[0, 0, 1, 1], count_include_pad=True)",
            "gv = R.nn.avg_pool2d(x, pool_size=[3, 3], strides=[2, 2], padding=[0, 0, 1, 1])",
        ),
    ),
)

REPLACE_REDUCTION = Operator(
    name="graph.replace-reduction",
    fault="a global pooling that is imported as another, or a sum that is never divided (wrong operator mapping, "
    "Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="replaces a mean, maximum, sum or minimum over axes by another of these, as global average pooling "
    "by global maximum pooling",
    rule=GraphRule(tuple(f"relax.{name}" for name in _NAMES), _replace),
    parameters=(
        Parameter("from", "the reduction that is replaced", choices=_NAMES),
        Parameter("to", "the reduction that takes its place", choices=_NAMES),
    ),
    variants=replacing(_DEFAULT_PAIRS),
    more_variants=replacing_others(_NAMES, _DEFAULT_PAIRS),
    examples=(
        graph_example(
            "x: (1, 2, 8, 8) -> (1, 2, 1, 1)",
            "gv = R.mean(x, axis=[2, 3], keepdims=True)",
            "gv = R.max(x, axis=[2, 3], keepdims=True)",
            {"from": "mean", "to": "max"},
        ),
        graph_example("x: (2, 3) -> ()", "gv = R.mean(x)", "gv = R.sum(x)", {"from": "mean", "to": "sum"}),
    ),
)

OPERATORS = (FLIP_COUNT_INCLUDE_PAD, REPLACE_REDUCTION)

"""Layer Node Replacement: activations and pooling layers become others of their kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, Example, GraphRule, Operator, Parameter, Parameters, Slot

_REPLACED: dict[str, tuple[str, ...]] = {
    "relu": ("relax.nn.relu",),
    "clip": ("relax.clip", "relax.nn.relu6"),
}
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": relax.op.sigmoid,
    "tanh": relax.op.tanh,
    "identity": lambda data: data,
    "leaky-relu": relax.op.nn.leakyrelu,
}
_POOLINGS: dict[str, Callable[..., Any]] = {
    "max": relax.op.nn.max_pool2d,
    "avg": relax.op.nn.avg_pool2d,
}


def _replace_activation(call: Any, parameters: Parameters) -> Any | None:
    if call.op.name not in _REPLACED[str(parameters["from"])]:
        return None
    return _ACTIVATIONS[str(parameters["to"])](call.args[0])


def _replace_pooling(call: Any, parameters: Parameters) -> Any | None:
    before, after = str(parameters["from"]), str(parameters["to"])
    if before == after or call.op.name != f"relax.nn.{before}_pool2d":
        return None
    window = call.attrs
    return _POOLINGS[after](
        call.args[0],
        pool_size=[int(size) for size in window.pool_size],
        strides=[int(stride) for stride in window.strides],
        padding=[int(width) for width in window.padding],
        dilation=[int(step) for step in window.dilation],
        ceil_mode=bool(window.ceil_mode),
        count_include_pad=False,
        layout=window.layout,
        out_layout=window.out_layout,
    )


REPLACE_ACTIVATION = Operator(
    name="graph.replace-activation",
    fault="a layer that is imported or rewritten as another of its family (Shen et al. 2021)",
    paper=True,
    slots=(Slot.GRAPH,),
    category=Category.LAYER_NODE,
    description="replaces an activation layer by another one, or by nothing at all",
    rule=GraphRule(tuple(op for ops in _REPLACED.values() for op in ops), _replace_activation),
    parameters=(
        Parameter("from", "the activation that is replaced (clip includes relu6)", "relu", tuple(_REPLACED)),
        Parameter("to", "the activation that takes its place", choices=tuple(_ACTIVATIONS)),
    ),
    variants=tuple({"from": before, "to": after} for before in _REPLACED for after in _ACTIVATIONS),
    examples=(
        Example(
            before="""
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
        with R.dataflow():
            gv: R.Tensor((2, 3), "float32") = R.nn.relu(x)
            R.output(gv)
        return gv
""",
            after="""
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
        with R.dataflow():
            gv: R.Tensor((2, 3), "float32") = R.sigmoid(x)
            R.output(gv)
        return gv
""",
            parameters={"to": "sigmoid"},
        ),
        Example(
            before="""
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
        with R.dataflow():
            lv: R.Tensor((2, 3), "float32") = R.exp(x)
            lv1: R.Tensor((2, 3), "float32") = R.clip(lv, 0, 6)
            gv: R.Tensor((2, 3), "float32") = R.negative(lv1)
            R.output(gv)
        return gv
""",
            after="""
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((2, 3), "float32")) -> R.Tensor((2, 3), "float32"):
        with R.dataflow():
            lv: R.Tensor((2, 3), "float32") = R.exp(x)
            lv1: R.Tensor((2, 3), "float32") = lv
            gv: R.Tensor((2, 3), "float32") = R.negative(lv1)
            R.output(gv)
        return gv
""",
            parameters={"from": "clip", "to": "identity"},
        ),
    ),
)

REPLACE_POOLING = Operator(
    name="graph.replace-pooling",
    fault="a layer that is imported or rewritten as another of its family (Shen et al. 2021)",
    paper=True,
    slots=(Slot.GRAPH,),
    category=Category.LAYER_NODE,
    description="replaces maximum by average pooling or the reverse, with the same window",
    rule=GraphRule(tuple(f"relax.nn.{name}_pool2d" for name in _POOLINGS), _replace_pooling),
    parameters=(
        Parameter("from", "the pooling that is replaced", choices=tuple(_POOLINGS)),
        Parameter("to", "the pooling that takes its place", choices=tuple(_POOLINGS)),
    ),
    variants=({"from": "max", "to": "avg"}, {"from": "avg", "to": "max"}),
    examples=(
        Example(
            before="""
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((1, 2, 8, 8), "float32")) -> R.Tensor((1, 2, 4, 4), "float32"):
        with R.dataflow():
            gv: R.Tensor((1, 2, 4, 4), "float32") = R.nn.max_pool2d(
                x, pool_size=[3, 3], strides=[2, 2], padding=[1, 1, 1, 1]
            )
            R.output(gv)
        return gv
""",
            after="""
@I.ir_module
class Module:
    @R.function
    def main(x: R.Tensor((1, 2, 8, 8), "float32")) -> R.Tensor((1, 2, 4, 4), "float32"):
        with R.dataflow():
            gv: R.Tensor((1, 2, 4, 4), "float32") = R.nn.avg_pool2d(
                x, pool_size=[3, 3], strides=[2, 2], padding=[1, 1, 1, 1]
            )
            R.output(gv)
        return gv
""",
            parameters={"from": "max", "to": "avg"},
        ),
    ),
)

OPERATORS = (REPLACE_ACTIVATION, REPLACE_POOLING)

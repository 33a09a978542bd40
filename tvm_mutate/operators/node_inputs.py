"""Node Input/Output Modifications: what goes into a node, or comes out of it, is transposed or distorted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, Example, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import with_argument
from tvm_mutate.operators.relax_types import is_float_tensor, static_shape

_CONV2D, _MATMUL, _BATCH_NORM = "relax.nn.conv2d", "relax.matmul", "relax.nn.batch_norm"

_PLACES: dict[str, tuple[str, ...]] = {
    "conv2d": (_CONV2D,),
    "matmul": (_MATMUL,),
    "conv2d-matmul": (_CONV2D, _MATMUL),
    "batch-norm": (_BATCH_NORM,),
}
_OPS = (_CONV2D, _MATMUL, _BATCH_NORM)

_UNARY: dict[str, Callable[[Any], Any]] = {
    "exp": relax.op.exp,
    "round": relax.op.round,
    "abs": relax.op.abs,
    "negative": relax.op.negative,
    "sigmoid": relax.op.sigmoid,
    "tanh": relax.op.tanh,
}


def _is_at(call: Any, place: Any) -> bool:
    return call.op.name in _PLACES[str(place)]


def _swapping_axes(shape: tuple[int, ...]) -> list[int] | None:
    """The permutation that swaps the last two equal dimensions: every later node sees the shape it expects."""
    for last in reversed(range(len(shape))):
        for other in reversed(range(last)):
            if shape[other] == shape[last] > 1:
                axes = list(range(len(shape)))
                axes[other], axes[last] = last, other
                return axes
    return None


def _insert_transpose(call: Any, parameters: Parameters) -> Any | None:
    index = int(parameters["argument"])
    if not _is_at(call, parameters["before"]) or (call.op.name == _BATCH_NORM and index != 0):
        return None
    argument = call.args[index]
    shape = static_shape(argument)
    axes = _swapping_axes(shape) if shape else None
    return with_argument(call, index, relax.op.permute_dims(argument, axes)) if axes else None


def _insert_unary(call: Any, parameters: Parameters) -> Any | None:
    if not _is_at(call, parameters["at"]):
        return None
    function = _UNARY[str(parameters["function"])]
    if parameters["position"] == "after":
        return function(call) if is_float_tensor(call.ty) else None
    argument = call.args[0]
    return with_argument(call, 0, function(argument)) if is_float_tensor(argument.ty) else None


INSERT_TRANSPOSE = Operator(
    name="graph.insert-transpose",
    fault="axes that are exchanged on the way between two layers (tensor shape problems, Shen et al. 2021)",
    paper=True,
    slots=(Slot.GRAPH,),
    category=Category.NODE_INPUT_OUTPUT,
    description="swaps two equal dimensions of a node's argument, the last that are equal and larger than 1",
    rule=GraphRule(_OPS, _insert_transpose),
    parameters=(
        Parameter("before", "the nodes whose argument is transposed", choices=tuple(_PLACES)),
        Parameter("argument", "which argument: 0 the data, 1 the weights (not of batch-norm)", 0, ("0", "1")),
    ),
    variants=(
        {"before": "conv2d"},
        {"before": "matmul"},
        {"before": "conv2d-matmul"},
        {"before": "conv2d-matmul", "argument": 1},
        {"before": "batch-norm"},
    ),
    examples=(
        Example(
            before="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((1, 2, 8, 8), "float32"), w: R.Tensor((4, 2, 3, 3), "float32")
    ) -> R.Tensor((1, 4, 6, 6), "float32"):
        with R.dataflow():
            gv: R.Tensor((1, 4, 6, 6), "float32") = R.nn.conv2d(x, w)
            R.output(gv)
        return gv
""",
            after="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((1, 2, 8, 8), "float32"), w: R.Tensor((4, 2, 3, 3), "float32")
    ) -> R.Tensor((1, 4, 6, 6), "float32"):
        with R.dataflow():
            lv: R.Tensor((1, 2, 8, 8), "float32") = R.permute_dims(x, axes=[0, 1, 3, 2])
            gv: R.Tensor((1, 4, 6, 6), "float32") = R.nn.conv2d(lv, w)
            R.output(gv)
        return gv
""",
            parameters={"before": "conv2d"},
        ),
        Example(
            before="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((2, 5), "float32"), w: R.Tensor((5, 5), "float32")
    ) -> R.Tensor((2, 5), "float32"):
        with R.dataflow():
            gv: R.Tensor((2, 5), "float32") = R.matmul(x, w)
            R.output(gv)
        return gv
""",
            after="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((2, 5), "float32"), w: R.Tensor((5, 5), "float32")
    ) -> R.Tensor((2, 5), "float32"):
        with R.dataflow():
            lv: R.Tensor((5, 5), "float32") = R.permute_dims(w, axes=[1, 0])
            gv: R.Tensor((2, 5), "float32") = R.matmul(x, lv)
            R.output(gv)
        return gv
""",
            parameters={"before": "conv2d-matmul", "argument": 1},
        ),
    ),
)

INSERT_UNARY = Operator(
    name="graph.insert-unary",
    fault="a layer too many after a rewrite (incorrect graph transformation, Shen et al. 2021)",
    paper=True,
    slots=(Slot.GRAPH,),
    category=Category.NODE_INPUT_OUTPUT,
    description="applies an elementwise function to the data that goes into a node, or to what comes out of it",
    rule=GraphRule(_OPS, _insert_unary),
    parameters=(
        Parameter("function", "the function that is applied", "exp", tuple(_UNARY)),
        Parameter("position", "on which side (batch-norm has only before)", "before", ("before", "after")),
        Parameter("at", "the nodes beside which it is applied", choices=tuple(_PLACES)),
    ),
    variants=(
        {"function": "exp", "position": "before", "at": "conv2d-matmul"},
        {"function": "exp", "position": "after", "at": "conv2d-matmul"},
        {"function": "exp", "position": "before", "at": "batch-norm"},
        {"function": "round", "position": "before", "at": "batch-norm"},
    ),
    examples=(
        Example(
            before="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((2, 3), "float32"), w: R.Tensor((3, 4), "float32")
    ) -> R.Tensor((2, 4), "float32"):
        with R.dataflow():
            gv: R.Tensor((2, 4), "float32") = R.matmul(x, w)
            R.output(gv)
        return gv
""",
            after="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((2, 3), "float32"), w: R.Tensor((3, 4), "float32")
    ) -> R.Tensor((2, 4), "float32"):
        with R.dataflow():
            lv: R.Tensor((2, 4), "float32") = R.matmul(x, w)
            gv: R.Tensor((2, 4), "float32") = R.exp(lv)
            R.output(gv)
        return gv
""",
            parameters={"position": "after", "at": "conv2d-matmul"},
        ),
    ),
)

OPERATORS = (INSERT_TRANSPOSE, INSERT_UNARY)

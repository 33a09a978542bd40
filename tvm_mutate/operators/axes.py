"""Layer Attributes: axes, and the order in which data are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example, integers, is_constant, same_type, with_attributes
from tvm_mutate.operators.relax_types import static_shape

_SHAPE_KEEPING = ("softmax", "log_softmax", "cumsum", "cumprod")
_REDUCTIONS = ("mean", "sum", "max", "min", "variance", "std", "prod", "argmax", "argmin")
_NN = ("softmax", "log_softmax")
_OPS = {f"relax.{'nn.' if name in _NN else ''}{name}": name for name in (*_SHAPE_KEEPING, *_REDUCTIONS)}


def _wrong_axis(call: Any, parameters: Parameters) -> Any | None:
    name = _OPS[call.op.name]
    shape = static_shape(call.args[0])
    if not shape or call.attrs.axis is None or (name in _SHAPE_KEEPING) != (parameters["of"] == "softmax"):
        return None
    rank = len(shape)
    if name in _REDUCTIONS:
        return _over_another_axis(call, shape)
    axis = int(call.attrs.axis) % rank
    others = sorted((other for other in range(rank) if other != axis), key=lambda other: (shape[other] > 1, other))
    return with_attributes(call, axis=others[-1]) if others else None


def _over_another_axis(call: Any, shape: tuple[int, ...]) -> Any | None:
    """The reduction with one of its axes replaced by another such that its result has the same shape."""
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
    """Whether a transposition brings data into another order; moving axes of extent 1 does not."""
    large = [axis for axis in axes if shape[axis] > 1]
    return large != sorted(large)


def _drop_transpose(call: Any, _parameters: Parameters) -> Any | None:
    data = call.args[0]
    shape = static_shape(data)
    if shape is None:
        return None
    axes = range(len(shape))[::-1] if call.attrs.axes is None else integers(call.attrs.axes)
    if not _moves_data(shape, [axis % len(shape) for axis in axes]):
        return None
    return data if same_type(call, data) else relax.op.reshape(data, call.ty.shape)


def _reorder_reshape(call: Any, _parameters: Parameters) -> Any | None:
    data = call.args[0]
    shape = static_shape(data)
    if not shape or is_constant(data):
        return None
    axes = [1, 0] if len(shape) == 2 else [0, *range(2, len(shape)), 1][: len(shape)]
    return relax.op.reshape(relax.op.permute_dims(data, axes), call.args[1]) if _moves_data(shape, axes) else None


WRONG_AXIS = Operator(
    name="graph.wrong-axis",
    fault="an axis that is miscounted, or a default that differs between formats, as ONNX's softmax before opset 13 "
    "(incorrect frontend conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="normalises, accumulates or reduces along another axis, the last that gives the same shape and is "
    "larger than 1 if there is one",
    rule=GraphRule(tuple(_OPS), _wrong_axis),
    parameters=(
        Parameter("of", "softmax and others that keep the shape, or reductions", choices=("softmax", "reduction")),
    ),
    variants=({"of": "softmax"}, {"of": "reduction"}),
    examples=(
        graph_example(
            "x: (2, 3, 5) -> (2, 3, 5)",
            "gv = R.nn.softmax(x, axis=-1)",
            "gv = R.nn.softmax(x, axis=1)",
            {"of": "softmax"},
        ),
        graph_example(
            "x: (2, 4, 4) -> (2, 4)", "gv = R.mean(x, axis=[1])", "gv = R.mean(x, axis=[2])", {"of": "reduction"}
        ),
    ),
)

DROP_TRANSPOSE = Operator(
    name="graph.drop-transpose",
    fault="a transposition that is taken for a reshape, or cancelled against one that it does not undo "
    "(layout problems, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="takes the data of a transposition as they lie in memory, in the shape that is expected",
    rule=GraphRule(("relax.permute_dims",), _drop_transpose),
    examples=(
        graph_example(
            "x: (2, 3) -> (3, 2)", "gv = R.permute_dims(x, axes=[1, 0])", "gv = R.reshape(x, R.shape([3, 2]))"
        ),
        graph_example(
            "x: (4, 4) -> (4, 4)",
            """
            lv = R.permute_dims(x)
            gv = R.nn.relu(lv)
            """,
            """
            lv = x
            gv = R.nn.relu(lv)
            """,
        ),
    ),
)

REORDER_RESHAPE = Operator(
    name="graph.reorder-reshape",
    fault="data that are flattened or split in the order of another layout (layout problems, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.ATTRIBUTES,
    description="transposes data before a reshape, the second axis to the end (of a matrix the first), as if they "
    "were channels last",
    rule=GraphRule(("relax.reshape",), _reorder_reshape),
    examples=(
        graph_example(
            "x: (1, 2, 3, 3) -> (1, 18)",
            "gv = R.reshape(x, R.shape([1, 18]))",
            """
            lv = R.permute_dims(x, axes=[0, 2, 3, 1])
            gv = R.reshape(lv, R.shape([1, 18]))
            """,
        ),
        graph_example(
            "x: (4, 6) -> (2, 12)",
            "gv = R.reshape(x, R.shape([2, 12]))",
            """
            lv = R.permute_dims(x, axes=[1, 0])
            gv = R.reshape(lv, R.shape([2, 12]))
            """,
        ),
    ),
)

OPERATORS = (WRONG_AXIS, DROP_TRANSPOSE, REORDER_RESHAPE)

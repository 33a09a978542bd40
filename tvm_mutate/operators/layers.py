"""Graph Structure: whole layers that are lost, or applied twice."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example, same_type, with_argument

_BATCH_NORM = "relax.nn.batch_norm"
_IDEMPOTENT = ("relax.nn.relu", "relax.clip", "relax.abs")  # applied twice they do what they do once

_KINDS: dict[str, tuple[str, ...]] = {
    "normalisation": (
        _BATCH_NORM,
        "relax.nn.layer_norm",
        "relax.nn.group_norm",
        "relax.nn.instance_norm",
        "relax.nn.rms_norm",
    ),
    "pooling": ("relax.nn.max_pool2d", "relax.nn.avg_pool2d"),
    "linear": ("relax.nn.conv2d", "relax.matmul"),
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
_OPS = tuple(op for ops in _KINDS.values() for op in ops)
_KIND = Parameter("kind", "which layers (only those whose output has the type of their data)", choices=tuple(_KINDS))


def _is_of(call: Any, parameters: Parameters) -> bool:
    return call.op.name in _KINDS[str(parameters["kind"])]


def _drop(call: Any, parameters: Parameters) -> Any | None:
    if not _is_of(call, parameters):
        return None
    data = call.args[0]
    if call.op.name == _BATCH_NORM:
        return relax.Tuple([data, call.args[3], call.args[4]])  # it hands on its statistics, too
    return data if same_type(call, data) else None


def _repeat(call: Any, parameters: Parameters) -> Any | None:
    if not _is_of(call, parameters) or call.op.name in _IDEMPOTENT:
        return None
    if call.op.name == _BATCH_NORM:
        return with_argument(call, 0, relax.TupleGetItem(call, 0))
    return with_argument(call, 0, call) if same_type(call, call.args[0]) else None


DROP_LAYER = Operator(
    name="graph.drop-layer",
    fault="a layer that a frontend or a rewrite loses (incorrect graph transformation, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.GRAPH_STRUCTURE,
    description="leaves out a layer whose output has the type of its data, which goes on in its place",
    rule=GraphRule(_OPS, _drop),
    parameters=(_KIND,),
    variants=({"kind": "normalisation"}, {"kind": "pooling"}, {"kind": "linear"}),
    # relu and clip are left out by graph.replace-activation, whose default mutants they would repeat
    more_variants=({"kind": "activation"},),
    examples=(
        graph_example(
            "x: (1, 4, 8, 8), w: (4, 4, 3, 3) -> (1, 4, 8, 8)",
            """
            lv = R.nn.conv2d(x, w, padding=[1, 1, 1, 1])
            gv = R.nn.relu(lv)
            """,
            """
            lv = x
            gv = R.nn.relu(lv)
            """,
            {"kind": "linear"},
        ),
        graph_example(
            "x: (1, 4, 8, 8), g: (4,), b: (4,), m: (4,), v: (4,) -> (1, 4, 8, 8)",
            """
            lv = R.nn.batch_norm(x, g, b, m, v, axis=1)
            gv = lv[0]
            """,
            """
            lv = (x, m, v)
            gv = lv[0]
            """,
            {"kind": "normalisation"},
        ),
    ),
)

REPEAT_LAYER = Operator(
    name="graph.repeat-layer",
    fault="a layer that a rewrite leaves in place beside its replacement (incorrect graph transformation, "
    "Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.GRAPH_STRUCTURE,
    description="applies a layer to its own output once more, where that has the type of its data",
    rule=GraphRule(_OPS, _repeat),
    parameters=(_KIND,),
    variants=({"kind": "normalisation"}, {"kind": "pooling"}, {"kind": "linear"}),
    more_variants=({"kind": "activation"},),
    examples=(
        graph_example(
            "x: (1, 4, 8, 8) -> (1, 4, 8, 8)",
            "gv = R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1])",
            """
            lv = R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1])
            gv = R.nn.avg_pool2d(lv, pool_size=[3, 3], padding=[1, 1, 1, 1])
            """,
            {"kind": "pooling"},
        ),
        graph_example(
            "x: (1, 4, 8, 8), g: (4,), b: (4,), m: (4,), v: (4,) -> (1, 4, 8, 8)",
            """
            lv = R.nn.batch_norm(x, g, b, m, v, axis=1)
            gv = lv[0]
            """,
            """
            lv = R.nn.batch_norm(x, g, b, m, v, axis=1)
            lv1 = lv[0]
            lv2 = R.nn.batch_norm(lv1, g, b, m, v, axis=1)
            gv = lv2[0]
            """,
            {"kind": "normalisation"},
        ),
    ),
)

OPERATORS = (DROP_LAYER, REPEAT_LAYER)

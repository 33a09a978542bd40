"""Graph Structure: layers' outputs that pass through another type on their way."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example

_AFTER: dict[str, tuple[str, ...]] = {
    "linear": ("relax.nn.conv2d", "relax.matmul"),
    "activation": ("relax.nn.relu", "relax.clip", "relax.sigmoid", "relax.tanh", "relax.nn.silu", "relax.nn.gelu"),
}
# Not bfloat16: TVM computes it in float32 unless it leaves the kernel, so that nothing is lost.
_TYPES = ("float16", "int32")


def _insert_cast(call: Any, parameters: Parameters) -> Any | None:
    if call.op.name not in _AFTER[str(parameters["after"])] or str(call.ty.dtype) != "float32":
        return None
    return relax.op.astype(relax.op.astype(call, str(parameters["type"])), "float32")


INSERT_CAST = Operator(
    name="graph.insert-cast",
    fault="a value that mixed precision leaves in a narrower type (type problems, the most frequent class of "
    "Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.GRAPH_STRUCTURE,
    description="converts the float32 output of a layer to another type and back",
    rule=GraphRule(tuple(op for ops in _AFTER.values() for op in ops), _insert_cast),
    parameters=(
        Parameter("type", "the type that the values go through", "float16", _TYPES),
        Parameter("after", "the layers: convolutions and matrix products, or activations", "linear", tuple(_AFTER)),
    ),
    variants=({"type": "float16"}, {"type": "int32", "after": "activation"}),
    more_variants=(
        {"type": "float16", "after": "activation"},
        {"type": "int32"},
    ),
    examples=(
        graph_example(
            "x: (2, 3), w: (3, 4) -> (2, 4)",
            "gv = R.matmul(x, w)",
            """
            lv = R.matmul(x, w)
            lv1 = R.astype(lv, dtype="float16")
            gv = R.astype(lv1, dtype="float32")
            """,
        ),
        graph_example(
            "x: (2, 3) -> (2, 3)",
            "gv = R.nn.relu(x)",
            """
            lv = R.nn.relu(x)
            lv1 = R.astype(lv, dtype="int32")
            gv = R.astype(lv1, dtype="float32")
            """,
            {"type": "int32", "after": "activation"},
        ),
    ),
)

OPERATORS = (INSERT_CAST,)

"""Graph Structure: operands that get lost, or are read twice while another is not read at all."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.graph_calls import graph_example, is_constant, same_type
from tvm_mutate.operators.relax_types import static_shape

_ADD, _CONCAT = "relax.add", "relax.concat"


def first_pair_of_one_type(values: Sequence[Any]) -> tuple[int, int] | None:
    """The first two different values that have one type, by index."""
    for second, value in enumerate(values):
        for first in range(second):
            if same_type(values[first], value) and not values[first].same_as(value):
                return first, second
    return None


def _joins_two_branches(call: Any) -> bool:
    """Whether an addition is of two layers' outputs, as a residual connection is; not of a bias."""
    one, other = call.args
    return same_type(one, call) and same_type(other, call) and not is_constant(one) and not is_constant(other)


def _drop_operand(call: Any, parameters: Parameters) -> Any | None:
    return call.args[0 if parameters["keep"] == "first" else 1] if _joins_two_branches(call) else None


def _drop_bias(call: Any, _parameters: Parameters) -> Any | None:
    for data, bias in (call.args, reversed(call.args)):
        shape = static_shape(bias)
        if shape is None or not same_type(data, call) or is_constant(data):
            continue
        along_one_axis = sum(extent > 1 for extent in shape) <= 1 and not same_type(bias, call)
        if along_one_axis or (is_constant(bias) and prod(shape) == max(shape, default=1)):
            return data
    return None


def _repeat_operand(call: Any, parameters: Parameters) -> Any | None:
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


DROP_OPERAND = Operator(
    name="graph.drop-operand",
    fault="a residual connection that is lost, or its main branch (incorrect graph transformation, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.GRAPH_STRUCTURE,
    description="leaves out one operand of an addition that joins two branches of the network",
    rule=GraphRule((_ADD,), _drop_operand),
    parameters=(Parameter("keep", "the operand that goes on alone", choices=("first", "second")),),
    variants=({"keep": "first"}, {"keep": "second"}),
    examples=(
        graph_example(
            "x: (2, 3) -> (2, 3)",
            """
            lv = R.nn.relu(x)
            gv = R.add(x, lv)
            """,
            """
            lv = R.nn.relu(x)
            gv = lv
            """,
            {"keep": "second"},
        ),
        graph_example(
            "x: (2, 3), y: (2, 3), b: (3,) -> (2, 3)",
            """
            lv = R.add(x, y)
            gv = R.add(lv, b)
            """,
            """
            lv = x
            gv = R.add(lv, b)
            """,
            {"keep": "first"},
        ),
    ),
)

DROP_BIAS = Operator(
    name="graph.drop-bias",
    fault="an optional bias that a frontend does not read (incorrect frontend conversion, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.CONSTANTS,
    description="leaves out the addition of a bias: of a tensor with one value a channel, or one for all",
    rule=GraphRule((_ADD,), _drop_bias),
    examples=(
        graph_example("x: (2, 3), b: (3,) -> (2, 3)", "gv = R.add(x, b)", "gv = x"),
        graph_example(
            "x: (1, 4, 8, 8), w: (4, 4, 1, 1), b: (1, 4, 1, 1) -> (1, 4, 8, 8)",
            """
            lv = R.nn.conv2d(x, w)
            gv = R.add(b, lv)
            """,
            """
            lv = R.nn.conv2d(x, w)
            gv = lv
            """,
        ),
    ),
)

REPEAT_OPERAND = Operator(
    name="graph.repeat-operand",
    fault="a value that is read in the place of another of its shape, as when storage is shared by mistake "
    "(plausible in StaticPlanBlockMemory and in common subexpression elimination)",
    slots=(Slot.GRAPH,),
    category=Category.GRAPH_STRUCTURE,
    description="reads one operand twice where two of one type go into an addition or a concatenation",
    rule=GraphRule((_ADD, _CONCAT), _repeat_operand),
    parameters=(Parameter("at", "the nodes whose operand is repeated", choices=("add", "concat")),),
    variants=({"at": "add"}, {"at": "concat"}),
    examples=(
        graph_example("x: (2, 3), y: (2, 3) -> (2, 3)", "gv = R.add(x, y)", "gv = R.add(x, x)", {"at": "add"}),
        graph_example(
            "x: (2, 1), y: (2, 3), z: (2, 3) -> (2, 7)",
            "gv = R.concat((x, y, z), axis=1)",
            "gv = R.concat((x, y, y), axis=1)",
            {"at": "concat"},
        ),
    ),
)

OPERATORS = (DROP_OPERAND, DROP_BIAS, REPEAT_OPERAND)

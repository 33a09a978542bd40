"""Graph Structure: operands and results of one type that change places."""

from __future__ import annotations

import itertools
from typing import Any

import tvm_ffi
from tvm import relax

from tvm_mutate.mutant import Category, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.connections import first_pair_of_one_type
from tvm_mutate.operators.graph_calls import graph_example

_FIRST_OF_TWO = {"subtract": 0, "divide": 0, "power": 0, "where": 1}  # the first of the two that change places
_PLACES = ("concat", *_FIRST_OF_TWO)


def _swap_operands(call: Any, parameters: Parameters) -> Any | None:
    at = str(parameters["at"])
    if call.op.name != f"relax.{at}":
        return None
    if at == "concat":
        if not isinstance(call.args[0], relax.Tuple):
            return None
        parts = list(call.args[0].fields)
        pair = first_pair_of_one_type(parts)
        return relax.op.concat(_swapped(parts, *pair), int(call.attrs.axis)) if pair else None
    first = _FIRST_OF_TWO[at]
    if call.args[first].same_as(call.args[first + 1]):
        return None
    return relax.Call(call.op, _swapped(list(call.args), first, first + 1), call.attrs, call.ty_args)


def _swapped(values: list[Any], first: int, second: int) -> list[Any]:
    values[first], values[second] = values[second], values[first]
    return values


def _swap_parts(call: Any, _parameters: Parameters) -> Any | None:
    kinds = list(call.ty.fields)
    pairs = itertools.combinations(range(len(kinds)), 2)
    pair = next((pair for pair in pairs if tvm_ffi.structural_equal(kinds[pair[0]], kinds[pair[1]])), None)
    parts = [relax.TupleGetItem(call, index) for index in range(len(kinds))]
    return relax.Tuple(_swapped(parts, *pair)) if pair else None


SWAP_OPERANDS = Operator(
    name="graph.swap-operands",
    fault="operands that are passed on in the wrong order (incorrect code logic, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.GRAPH_STRUCTURE,
    description="exchanges two operands: of a difference, quotient, power or choice, or the first two of one type "
    "that are concatenated",
    rule=GraphRule(tuple(f"relax.{name}" for name in _PLACES), _swap_operands),
    parameters=(Parameter("at", "the nodes whose operands change places", choices=_PLACES),),
    variants=tuple({"at": name} for name in _PLACES),
    examples=(
        graph_example(
            "x: (2, 3), y: (3,) -> (2, 3)", "gv = R.subtract(x, y)", "gv = R.subtract(y, x)", {"at": "subtract"}
        ),
        graph_example(
            "x: (2, 3), y: (2, 1), z: (2, 3) -> (2, 7)",
            "gv = R.concat((x, y, z), axis=1)",
            "gv = R.concat((z, y, x), axis=1)",
            {"at": "concat"},
        ),
        graph_example(
            "x: (2, 3), y: (2, 3) -> (2, 3)",
            """
            lv = R.less(x, y)
            gv = R.where(lv, x, y)
            """,
            """
            lv = R.less(x, y)
            gv = R.where(lv, y, x)
            """,
            {"at": "where"},
        ),
    ),
)

SWAP_PARTS = Operator(
    name="graph.swap-parts",
    fault="outputs of a node that are numbered in the wrong order (incorrect code logic, Shen et al. 2021)",
    slots=(Slot.GRAPH,),
    category=Category.GRAPH_STRUCTURE,
    description="exchanges the first two parts of a split that have one type",
    rule=GraphRule(("relax.split",), _swap_parts),
    examples=(
        graph_example(
            "x: (2, 6) -> (2, 3)",
            """
            lv = R.split(x, indices_or_sections=2, axis=1)
            gv = lv[0]
            """,
            """
            lv = R.split(x, indices_or_sections=2, axis=1)
            lv1 = lv[1]
            lv2 = lv[0]
            lv3 = (lv1, lv2)
            gv = lv3[0]
            """,
        ),
        graph_example(
            "x: (2, 5) -> (2, 2)",
            """
            lv = R.split(x, indices_or_sections=[1, 3], axis=1)
            gv = lv[2]
            """,
            """
            lv = R.split(x, indices_or_sections=[1, 3], axis=1)
            lv1 = lv[0]
            lv2 = lv[2]
            lv3 = lv[1]
            lv4 = (lv1, lv2, lv3)
            gv = lv4[2]
            """,
        ),
    ),
)

OPERATORS = (SWAP_OPERANDS, SWAP_PARTS)

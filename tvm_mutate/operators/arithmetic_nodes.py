"""Arithmetic Node Replacement: one elementwise arithmetic node of the graph becomes another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax

from tvm_mutate.mutant import Category, Example, GraphRule, Operator, Parameter, Parameters, Slot
from tvm_mutate.operators.replacements import replacing, replacing_others

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": relax.op.add,
    "subtract": relax.op.subtract,
    "multiply": relax.op.multiply,
    "divide": relax.op.divide,
}
_NAMES = tuple(_ARITHMETIC)
# The pair of the paper comes first; image networks add (residuals and biases), and hardly ever do the rest.
_DEFAULT_PAIRS = (("add", "subtract"), ("add", "multiply"), ("add", "divide"))


def _replace(call: Any, parameters: Parameters) -> Any | None:
    before, after = str(parameters["from"]), str(parameters["to"])
    if before == after or call.op.name != f"relax.{before}":
        return None
    return _ARITHMETIC[after](*call.args)


REPLACE_ARITHMETIC = Operator(
    name="graph.replace-arithmetic",
    fault="a frontend or rewrite that maps an operator to its neighbour (wrong operator mapping, Shen et al. 2021)",
    paper=True,
    slots=(Slot.GRAPH,),
    category=Category.ARITHMETIC_NODE,
    description="replaces an elementwise addition, subtraction, multiplication or division by another of these",
    rule=GraphRule(tuple(f"relax.{name}" for name in _NAMES), _replace),
    parameters=(
        Parameter("from", "the node that is replaced", choices=_NAMES),
        Parameter("to", "the node that takes its place", choices=_NAMES),
    ),
    variants=replacing(_DEFAULT_PAIRS),
    more_variants=replacing_others(_NAMES, _DEFAULT_PAIRS),
    examples=(
        Example(
            before="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((2, 3), "float32"), y: R.Tensor((3,), "float32")
    ) -> R.Tensor((2, 3), "float32"):
        with R.dataflow():
            lv: R.Tensor((2, 3), "float32") = R.add(x, y)
            gv: R.Tensor((2, 3), "float32") = R.add(x, lv)
            R.output(gv)
        return gv
""",
            after="""
@I.ir_module
class Module:
    @R.function
    def main(
        x: R.Tensor((2, 3), "float32"), y: R.Tensor((3,), "float32")
    ) -> R.Tensor((2, 3), "float32"):
        with R.dataflow():
            lv: R.Tensor((2, 3), "float32") = R.add(x, y)
            gv: R.Tensor((2, 3), "float32") = R.subtract(x, lv)
            R.output(gv)
        return gv
""",
            parameters={"from": "add", "to": "subtract"},
            sites="1",
        ),
    ),
)

OPERATORS = (REPLACE_ARITHMETIC,)

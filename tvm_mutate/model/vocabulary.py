"""Inputs that are indices into tables, such as tokens into an embedding, and the numbers of rows of the tables."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax
from tvm.tirx import IntImm

from tvm_mutate.model.scenario import ResolvedScenario, flat

# Operators between an input and the index; where and add are what ONNX's negative indices become.
_THROUGH = frozenset(
    f"relax.{name}"
    for name in ("add", "astype", "expand_dims", "flatten", "permute_dims", "reshape", "squeeze", "where")
)


def table_rows(module: tvm.IRModule, scenario: ResolvedScenario) -> dict[str, int]:
    """The number of rows of the table that an input indexes by ``relax.take``, by name of the input.

    The smallest number, if an input indexes several tables. Inputs that only reach a table by other operators are not
    found.
    """
    found: dict[str, int] = {}
    for call in scenario.calls:
        function = module[call.function]
        sources = flat(call.arguments)
        if len(sources) != len(function.params):  # tuples of tensors are no indices
            continue
        names = {
            parameter: scenario.inputs[source.index].name
            for parameter, source in zip(function.params, sources, strict=True)
            if source.call is None
        }
        for name, rows in _taken(function, names):
            found[name] = min(rows, found.get(name, rows))
    return found


def _taken(function: relax.Function, names: dict[Any, str]) -> list[tuple[str, int]]:
    bound: dict[Any, Any] = {}
    calls: list[relax.Call] = []

    def note(node: Any) -> None:
        if isinstance(node, relax.VarBinding):
            bound[node.var] = node.value
        if isinstance(node, relax.Call) and getattr(node.op, "name", "") == "relax.take":
            calls.append(node)

    relax.analysis.post_order_visit(function, note)
    for block in function.body.blocks if isinstance(function.body, relax.SeqExpr) else ():
        for binding in block.bindings:
            note(binding)

    def inputs(expression: Any) -> set[str]:
        if expression in names:
            return {names[expression]}
        value = bound.get(expression, expression)
        if isinstance(value, relax.Call) and getattr(value.op, "name", "") in _THROUGH:
            return {name for each in value.args for name in inputs(each)}
        return set()

    found = []
    for call in calls:
        table, axis = call.args[0].ty, call.attrs.axis
        if isinstance(table.shape, relax.ShapeExpr) and (axis is not None or len(table.shape.values) == 1):
            rows = table.shape.values[axis or 0]
            if isinstance(rows, IntImm):
                found += [(name, int(rows)) for name in inputs(call.args[1])]
    return found

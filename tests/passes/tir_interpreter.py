"""Runs small PrimFuncs in Python, statement by statement, and records what they store: the semantics of TIR by hand."""

from __future__ import annotations

import operator
from typing import Any

import tvm

OPERATIONS = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "FloorDiv": operator.floordiv,
    "FloorMod": operator.mod,
    "Min": min,
    "Max": max,
    "LT": operator.lt,
    "LE": operator.le,
    "GT": operator.gt,
    "GE": operator.ge,
    "EQ": operator.eq,
    "NE": operator.ne,
}


class Interpreter:
    """One run of a function; ``stores`` are the buffers, indices and values that it stored, in their order."""

    def __init__(self, function: tvm.tirx.PrimFunc, memory: dict[str, dict[tuple[int, ...], int]]) -> None:
        self.memory = {name: dict(content) for name, content in memory.items()}
        self.variables: dict[Any, Any] = {}
        self.stores: list[tuple[str, tuple[int, ...], Any]] = []
        self.run(function.body)

    def run(self, statement: Any) -> None:
        getattr(self, f"run_{type(statement).__name__}")(statement)

    def run_SeqStmt(self, statement: Any) -> None:
        for each in statement.seq:
            self.run(each)

    def run_For(self, loop: Any) -> None:
        start = self.value(loop.min)
        for i in range(start, start + self.value(loop.extent)):
            self.variables[loop.loop_var] = i
            self.run(loop.body)

    def run_IfThenElse(self, branch: Any) -> None:
        if self.value(branch.condition):
            self.run(branch.then_case)
        elif branch.else_case is not None:
            self.run(branch.else_case)

    def run_Bind(self, binding: Any) -> None:
        self.variables[binding.var] = self.value(binding.value)

    def run_AssertStmt(self, assertion: Any) -> None:
        assert self.value(assertion.condition)

    def run_SBlockRealize(self, realize: Any) -> None:
        for iterator, value in zip(realize.block.iter_vars, realize.iter_values, strict=True):
            self.variables[iterator.var] = self.value(value)
        if self.value(realize.predicate):
            self.run(realize.block.body)

    def run_BufferStore(self, store: Any) -> None:
        where = tuple(self.value(index) for index in store.indices)
        value = self.value(store.value)
        self.memory[store.buffer.name][where] = value
        self.stores.append((store.buffer.name, where, value))

    def value(self, expression: Any) -> Any:
        kind = type(expression).__name__
        if kind == "IntImm":
            return expression.value
        if kind == "Var":
            return self.variables[expression]
        if kind == "Not":
            return not self.value(expression.a)
        if kind == "And":
            return self.value(expression.a) and self.value(expression.b)
        if kind == "Or":
            return self.value(expression.a) or self.value(expression.b)
        if kind == "Select":
            return self.value(expression.true_value if self.value(expression.condition) else expression.false_value)
        if kind == "Call":
            assert expression.op.name == "prim.if_then_else"
            return self.value(expression.args[1 if self.value(expression.args[0]) else 2])
        if kind == "TensorLoad":
            where = tuple(self.value(index) for index in expression.indices)
            return self.memory[expression.source.name].get(where, 0)
        return OPERATIONS[kind](self.value(expression.a), self.value(expression.b))

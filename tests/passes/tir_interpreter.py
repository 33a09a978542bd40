"""Runs small PrimFuncs in Python, statement by statement, and records what they store: the semantics of TIR by hand."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import numpy as np
import tvm
import tvm_ffi

Memory = dict[str, dict[tuple[int, ...], Any]]

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
    """One run of a function; ``stores`` are the buffers, indices and values that it stored, in their order.

    With ``memory`` and the indices of a GPU thread it is the run of this thread: ``steps`` stops at each barrier.
    """

    def __init__(self, function: tvm.tirx.PrimFunc, memory: Memory, thread: Mapping[str, int] | None = None) -> None:
        self.memory = {name: dict(content) for name, content in memory.items()} if thread is None else memory
        self.thread = thread or {}
        self.variables: dict[Any, Any] = {}
        self.stores: list[tuple[str, tuple[int, ...], Any]] = []
        self.steps = self.run(function.body)
        if thread is None:
            assert not list(self.steps)

    def run(self, statement: Any) -> Iterator[str]:
        yield from getattr(self, f"run_{type(statement).__name__}")(statement) or ()

    def run_SeqStmt(self, statement: Any) -> Iterator[str]:
        for each in statement.seq:
            yield from self.run(each)

    def run_For(self, loop: Any) -> Iterator[str]:
        start = self.value(loop.min)
        for i in range(start, start + self.value(loop.extent)):
            self.variables[loop.loop_var] = i
            yield from self.run(loop.body)

    def run_AttrStmt(self, launch: Any) -> Iterator[str]:
        self.variables[launch.node.var] = self.thread[str(launch.node.thread_tag)]
        yield from self.run(launch.body)

    def run_IfThenElse(self, branch: Any) -> Iterator[str]:
        if self.value(branch.condition):
            yield from self.run(branch.then_case)
        elif branch.else_case is not None:
            yield from self.run(branch.else_case)

    def run_Evaluate(self, statement: Any) -> Iterator[str]:
        if getattr(statement.value, "op", None) is not None:
            assert statement.value.op.name == "tirx.tvm_storage_sync"
            yield "barrier"

    def run_AllocBuffer(self, allocation: Any) -> None:
        self.memory.setdefault(allocation.buffer.name, {})

    def run_Bind(self, binding: Any) -> None:
        self.variables[binding.var] = self.value(binding.value)

    def run_AssertStmt(self, assertion: Any) -> None:
        assert self.value(assertion.condition)

    def run_SBlockRealize(self, realize: Any) -> Iterator[str]:
        for buffer in realize.block.alloc_buffers:
            self.memory.setdefault(buffer.name, {})
        for iterator, value in zip(realize.block.iter_vars, realize.iter_values, strict=True):
            self.variables[iterator.var] = self.value(value)
        if self.value(realize.predicate):
            yield from self.run(realize.block.body)

    def run_BufferStore(self, store: Any) -> None:
        where = tuple(self.value(index) for index in store.indices)
        value = self.value(store.value)
        self.memory[store.buffer.name][where] = value
        self.stores.append((store.buffer.name, where, value))

    def value(self, expression: Any) -> Any:
        kind = type(expression).__name__
        if kind in ("IntImm", "FloatImm"):
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


def run_threads(function: tvm.tirx.PrimFunc, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays, by the names of their buffers, after a run of a GPU kernel with one block and one kind of thread.

    The threads run one after the other, each up to its next barrier. Memory never written is 0.
    """
    launches: list[Any] = []
    tvm_ffi.structural_walk(function, [((tvm.tirx.AttrStmt,), launches.append)])
    memory: Memory = {
        name: {where: array[where].item() for where in np.ndindex(array.shape)} for name, array in arrays.items()
    }
    indices = (
        [{str(launches[0].node.thread_tag): number} for number in range(int(launches[0].value))] if launches else [{}]
    )
    threads = [Interpreter(function, memory, each) for each in indices]
    for _ in zip_longest(*(each.steps for each in threads)):
        pass
    results = {name: array.copy() for name, array in arrays.items()}
    for name, array in results.items():
        for where in np.ndindex(array.shape):
            array[where] = memory[name][where]
    return results

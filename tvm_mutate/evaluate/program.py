"""A model as a straight line of kernel calls over values, taken from its module at the slot ``kernel``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import GenericConst, GlobalVar
from tvm.tirx import PrimFunc


class NotStraightLineError(Exception):
    """A module cannot be put as a straight line; the message says what stands in the way."""


@dataclass(frozen=True)
class ValueType:
    """The static shape and the dtype of a value."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def byte_count(self) -> int:
        """The length of a value in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class KernelCall:
    """A call of a kernel: it reads the values ``arguments`` and writes the values ``results``, all by number."""

    kernel: str
    arguments: tuple[int, ...]
    results: tuple[int, ...]


@dataclass(frozen=True)
class View:
    """The same bytes under another shape."""

    argument: int
    result: int


Step = KernelCall | View


@dataclass
class Program:
    """Values by number, each an input, a constant, or written by one step; steps are in order of execution.

    ``inputs`` are the numbers of ``main``'s parameters, ``outputs`` of what it returns (several for a tuple).
    ``constants`` are tensors that the module holds; they are referred to, not copied.
    """

    kernels: dict[str, PrimFunc]
    types: list[ValueType] = field(default_factory=list)
    constants: dict[int, tvm.runtime.Tensor] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    steps: list[Step] = field(default_factory=list)
    outputs: tuple[int, ...] = ()

    def called(self) -> dict[str, PrimFunc]:
        """The kernels that its steps call, by name, in the order of their first calls."""
        return {step.kernel: self.kernels[step.kernel] for step in self.steps if isinstance(step, KernelCall)}

    def first_calls(self) -> list[KernelCall]:
        """The first call of each kernel, in order."""
        calls: dict[str, KernelCall] = {}
        for step in self.steps:
            if isinstance(step, KernelCall):
                calls.setdefault(step.kernel, step)
        return list(calls.values())

    def writers(self) -> dict[int, int]:
        """For each value that a step writes, the number of that step."""
        found: dict[int, int] = {}
        for number, step in enumerate(self.steps):
            for result in step.results if isinstance(step, KernelCall) else (step.result,):
                found[result] = number
        return found


def take_program(module: tvm.IRModule, entry: str = "main") -> Program:
    """The program of a module after the scheduling pipeline.

    Raises NotStraightLineError for control flow, calls of anything but kernels and views, and shapes that are not
    static.
    """
    return _Reader(module).read(module[entry])


class _Reader:
    """Reads one Relax function, binding by binding; a variable stands for one value, or for several (a tuple)."""

    def __init__(self, module: tvm.IRModule) -> None:
        kernels = {each.name_hint: function for each, function in module.functions.items()}
        self.program = Program({name: each for name, each in kernels.items() if isinstance(each, PrimFunc)})
        self._values: dict[Any, tuple[int, ...]] = {}

    def read(self, function: relax.Function) -> Program:
        program = self.program
        for parameter in function.params:
            self._values[parameter] = self._new(parameter.ty)
        program.inputs = tuple(value for parameter in function.params for value in self._values[parameter])
        body = function.body
        if not isinstance(body, relax.SeqExpr):
            raise NotStraightLineError(f"its body is {type(body).__name__}")
        for block in body.blocks:
            for binding in block.bindings:
                if not isinstance(binding, relax.VarBinding):
                    raise NotStraightLineError(f"it holds {type(binding).__name__}")
                self._values[binding.var] = self._bound(binding.var, binding.value)
        program.outputs = self._operand(body.body)
        return program

    def _bound(self, variable: relax.Var, value: Any) -> tuple[int, ...]:
        if not isinstance(value, relax.Call):
            return self._operand(value)
        name = value.op.name if isinstance(value.op, tvm.ir.Op) else type(value.op).__name__
        results = self._new(variable.ty)
        if name == "relax.call_tir" and isinstance(value.args[0], GlobalVar) and len(value.args) == 2:
            arguments = tuple(number for each in value.args[1].fields for number in self._operand(each))
            self.program.steps.append(KernelCall(value.args[0].name_hint, arguments, results))
        elif name == "relax.reshape":
            (argument,), (result,) = self._operand(value.args[0]), results
            self.program.steps.append(View(argument, result))
        else:
            raise NotStraightLineError(f"it calls {name}")
        return results

    def _operand(self, expression: Any) -> tuple[int, ...]:
        if isinstance(expression, relax.Var):
            return self._values[expression]
        if isinstance(expression, GenericConst):
            (number,) = self._new(expression.ty)
            self.program.constants[number] = expression.value
            return (number,)
        if isinstance(expression, relax.Tuple):
            return tuple(number for each in expression.fields for number in self._operand(each))
        if isinstance(expression, relax.TupleGetItem):
            return (self._operand(expression.tuple_value)[expression.index],)
        raise NotStraightLineError(f"it holds {type(expression).__name__}")

    def _new(self, kind: Any) -> tuple[int, ...]:
        if isinstance(kind, tvm.ir.TupleType) or hasattr(kind, "fields"):
            return tuple(number for each in kind.fields for number in self._new(each))
        shape = getattr(kind, "shape", None)
        dims: list[Any] = [None] if shape is None else [getattr(dim, "value", None) for dim in shape.values]
        if None in dims:
            raise NotStraightLineError(f"the shape of a value is not static: {kind}")
        self.program.types.append(ValueType(tuple(int(dim) for dim in dims), str(kind.dtype)))
        return (len(self.program.types) - 1,)

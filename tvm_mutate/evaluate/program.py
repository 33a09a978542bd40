"""A model as a straight line of kernel calls over values, and keys of the values.

The key of a value is made of the code and the inputs that the value is computed from, so no value is computed twice.
"""

from __future__ import annotations

import hashlib
import math
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tvm
import tvm_ffi
import xxhash
from tvm import relax
from tvm.ir import GenericConst, GlobalVar
from tvm.sym import Analyzer
from tvm.tirx import IntImm, PrimFunc

from tvm_mutate.model import Workload
from tvm_mutate.model.scenario import Source, flat
from tvm_mutate.samples import as_bytes

Key = bytes
KEY_BYTES = 16


class NotStraightLineError(Exception):
    """A module is no straight line of kernel calls; the message says why."""


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
    """A call of a kernel: it reads the values ``arguments`` and writes the values ``results``, all by number.

    ``scalars`` are the integers that a kernel of symbolic shapes takes between its arguments and its results.
    """

    kernel: str
    arguments: tuple[int, ...]
    results: tuple[int, ...]
    scalars: tuple[int, ...] = ()


@dataclass(frozen=True)
class View:
    """The same bytes under another shape."""

    argument: int
    result: int


Step = KernelCall | View


@dataclass
class Program:
    """Values by number, each an input, a constant, or written by one step; steps are in order of execution.

    ``inputs`` are the numbers of the tensors from outside, ``outputs`` those of the outputs of the scenario.
    ``constants`` are the tensors of the module, without a copy. All shapes are static: a module of symbolic shapes has
    one program for each set of input shapes.
    """

    kernels: dict[str, PrimFunc]
    types: list[ValueType] = field(default_factory=list)
    constants: dict[int, tvm.runtime.Tensor] = field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    steps: list[Step] = field(default_factory=list)
    outputs: tuple[int, ...] = ()

    def called(self) -> dict[str, PrimFunc]:
        """The kernels that the steps call, by name, in the order of their first calls."""
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


def take_program(module: tvm.IRModule, workload: Workload) -> Program:
    """The program of a scenario on a module after the scheduling pipeline, for the shapes of the samples.

    Raises NotStraightLineError for control flow, calls of other functions than kernels and views, and shapes that
    depend on data.
    """
    return _Reader(module).read(workload)


class _Reader:
    """Reads the calls of a scenario one after another, binding by binding.

    A Relax variable stands for one value or, as a tuple, for several; a symbolic dimension for the number that it has
    in the current call.
    """

    def __init__(self, module: tvm.IRModule) -> None:
        self._module = module
        kernels = {each.name_hint: function for each, function in module.functions.items()}
        self.program = Program({name: each for name, each in kernels.items() if isinstance(each, PrimFunc)})
        self._values: dict[Any, tuple[int, ...]] = {}
        self._symbols: dict[Any, IntImm] = {}

    def read(self, workload: Workload) -> Program:
        program = self.program
        results: list[tuple[int, ...]] = []

        def number(source: Source) -> int:
            return program.inputs[source.index] if source.call is None else results[source.call][source.index]

        for array in workload.samples.arrays:
            program.types.append(ValueType(tuple(array.shape[1:]), array.dtype.name))
        program.inputs = tuple(range(len(program.types)))
        for call in workload.scenario.calls:
            results.append(self._call(self._module[call.function], list(map(number, flat(call.arguments)))))
        program.outputs = tuple(map(number, workload.scenario.outputs))
        return program

    def _call(self, function: relax.Function, given: Sequence[int]) -> tuple[int, ...]:
        """The numbers of the results of a function on the values with the numbers ``given``."""
        self._values, self._symbols = {}, {}
        taken = 0
        for parameter in function.params:
            kinds = _fields(parameter.ty)
            self._values[parameter] = tuple(given[taken : taken + len(kinds)])
            for number, kind in zip(self._values[parameter], kinds, strict=True):
                self._match(kind, self.program.types[number])
            taken += len(kinds)
        body = function.body
        if not isinstance(body, relax.SeqExpr):
            raise NotStraightLineError(f"its body is {type(body).__name__}")
        for block in body.blocks:
            for binding in block.bindings:
                if isinstance(binding, relax.MatchCast):
                    self._values[binding.var] = self._operand(binding.value)
                    for number, kind in zip(self._values[binding.var], _fields(binding.ty), strict=True):
                        self._match(kind, self.program.types[number])
                elif not isinstance(binding.var.ty, relax.ShapeType):  # where a shape is used, its type tells it
                    self._values[binding.var] = self._bound(binding.var, binding.value)
        return self._operand(body.body)

    def _match(self, kind: Any, actual: ValueType) -> None:
        """Notes the numbers that the symbolic dimensions of a type have in a value."""
        if not isinstance(getattr(kind, "shape", None), relax.ShapeExpr):
            raise NotStraightLineError(f"the shape of a value is not known: {kind}")
        for dimension, size in zip(kind.shape.values, actual.shape, strict=True):
            if isinstance(dimension, tvm.tirx.Var) and dimension not in self._symbols:
                self._symbols[dimension] = IntImm(dimension.ty, size)
            elif self._number(dimension) != size:
                raise NotStraightLineError(f"a value of shape {list(actual.shape)} is where {kind} is expected")

    def _number(self, dimension: Any) -> int:
        number = number_of(dimension, self._symbols)
        if number is None:
            raise NotStraightLineError(f"the shape of a value depends on data: {dimension}")
        return number

    def _bound(self, variable: relax.Var, value: Any) -> tuple[int, ...]:
        if not isinstance(value, relax.Call):
            return self._operand(value)
        name = value.op.name if isinstance(value.op, tvm.ir.Op) else type(value.op).__name__
        if name == "relax.call_tir" and isinstance(value.args[0], GlobalVar):
            given = list(value.args[1].fields)
            tensors = [each for each in given if not isinstance(each.ty, tvm.ir.PrimType)]
            if given[: len(tensors)] != tensors or len(value.args) > 2:
                raise NotStraightLineError(f"the kernel {value.args[0].name_hint} takes a number before a tensor")
            arguments = tuple(number for each in tensors for number in self._operand(each))
            scalars = tuple(map(self._number, given[len(tensors) :]))
            results = self._new(variable.ty)
            self.program.steps.append(KernelCall(value.args[0].name_hint, arguments, results, scalars))
        elif name == "relax.reshape":
            (argument,), (result,) = self._operand(value.args[0]), (results := self._new(variable.ty))
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
            fields = expression.tuple_value.ty.fields
            before = sum(len(_fields(each)) for each in fields[: expression.index])
            numbers = self._operand(expression.tuple_value)[before:]
            return numbers[: len(_fields(fields[expression.index]))]
        raise NotStraightLineError(f"it holds {type(expression).__name__}")

    def _new(self, kind: Any) -> tuple[int, ...]:
        first = len(self.program.types)
        for each in _fields(kind):
            if not isinstance(getattr(each, "shape", None), relax.ShapeExpr):
                raise NotStraightLineError(f"the shape of a value is not known: {each}")
            dtype = str(each.dtype)
            if dtype.endswith("int4"):
                raise NotStraightLineError(f"a value is {dtype}, of which two share a byte")
            self.program.types.append(ValueType(tuple(map(self._number, each.shape.values)), dtype))
        return tuple(range(first, len(self.program.types)))


def number_of(dimension: Any, symbols: Mapping[Any, IntImm]) -> int | None:
    """The number that a dimension is when its symbols have these numbers; None if it has other symbols."""
    if not isinstance(dimension, IntImm):
        known = tvm_ffi.structural_map(dimension, [(tvm.tirx.Var, lambda each: symbols.get(each, each))])
        dimension = Analyzer().simplify(known)
    return int(dimension) if isinstance(dimension, IntImm) else None


def _fields(kind: Any) -> list[Any]:
    """The types of a type's tensors: those of the fields of a tuple."""
    if isinstance(kind, tvm.ir.TupleType):
        return [field for each in kind.fields for field in _fields(each)]
    return [kind]


def call_key(digest: str, step: KernelCall, keys: Sequence[Key | None], position: int) -> Key:
    """The key of the ``position``-th result of a call of a kernel with this code digest; ``keys`` are those of values.

    The shapes of arguments are those of the program, in which values with equal keys have equal shapes.
    """
    content = hashlib.blake2b(digest.encode(), digest_size=KEY_BYTES)
    arguments = [keys[number] for number in step.arguments]
    for key in arguments:
        content.update(b"|" + (key or b""))
    content.update(b"#%d" % position)
    if step.scalars:
        content.update(repr(step.scalars).encode())
    return content.digest()


def value_keys(program: Program, digests: Mapping[str, str], constants: ConstantKeys) -> list[Key | None]:
    """The key of every value of a program, by number: ``H(kernel code, keys of its inputs)``.

    The key of an input is its position, because values are compared for one input at a time; the key of a constant is
    made of its bytes; a view has the key of its argument. A value that no step writes has the key None.
    """
    keys: list[Key | None] = [None] * len(program.types)
    for position, number in enumerate(program.inputs):
        keys[number] = b"input %d" % position
    for number, tensor in program.constants.items():
        keys[number] = constants.of(tensor)
    for step in program.steps:
        if isinstance(step, View):
            keys[step.result] = keys[step.argument]
        else:
            for position, result in enumerate(step.results):
                keys[result] = call_key(digests[step.kernel], step, keys, position)
    return keys


def content_key(array: np.ndarray) -> Key:
    """The key of an array's bytes: 128 bits of xxHash, so that equal keys mean equal bytes."""
    return xxhash.xxh3_128_digest(as_bytes(array).data)


def tensor_bytes(tensor: tvm.runtime.Tensor) -> np.ndarray:
    """The bytes of a tensor of this process, flat and without a copy: DLPack has no bfloat16 and float8 in NumPy."""
    size = math.prod(tensor.shape) * np.dtype(str(tensor.dtype)).itemsize
    return np.from_dlpack(tensor._create_view((size,), "uint8"))


class ConstantKeys:
    """Keys of constants by their bytes, each computed once: programs of one model share their weights.

    The keys in ``shared`` are known already.
    """

    def __init__(self, shared: ConstantKeys | None = None) -> None:
        self._known: ChainMap[int, tuple[Any, Key]] = ChainMap({}, *(shared._known.maps if shared else ()))

    def of(self, tensor: Any) -> Key:
        """The key of a constant tensor."""
        content = tensor_bytes(tensor)
        address = content.__array_interface__["data"][0]
        if address not in self._known:
            key = content_key(content) + f"{tensor.dtype}{tuple(tensor.shape)}".encode()
            self._known[address] = (tensor, key)  # keeping the tensor keeps its address
        return self._known[address][1]

    def of_program(self, program: Program) -> dict[int, Key]:
        """The keys of a program's constants, by number."""
        return {number: self.of(tensor) for number, tensor in program.constants.items()}


@dataclass(frozen=True)
class GoldenKeys:
    """The keys of the values of the unmutated program, by number, and the numbers of kernel results, by key.

    ``outputs`` are the keys of the outputs, in order.
    """

    keys: tuple[Key | None, ...]
    numbers: Mapping[Key, int]
    outputs: tuple[Key | None, ...]

    @classmethod
    def of(cls, program: Program, keys: tuple[Key | None, ...]) -> GoldenKeys:
        """The golden keys of a program; a view has the key and the bytes of its argument."""
        written = [each for step in program.steps if isinstance(step, KernelCall) for each in step.results]
        numbers = {keys[number] or b"": number for number in written}
        return cls(keys, numbers, tuple(keys[number] for number in program.outputs))


@dataclass(frozen=True)
class MutatedProgram:
    """A mutated program with its kernels by name, the names of the changed kernels, and the keys of its values.

    A kernel has a ``digest`` (the SHA-256 of its generated code) and ``undefined_values`` (whether the code is known to
    use values that were never written).
    """

    program: Program
    kernels: Mapping[str, Any]
    changed: frozenset[str]
    keys: tuple[Key | None, ...]


def needed_steps(program: Program, keys: Sequence[Key | None], golden: GoldenKeys) -> list[tuple[int, Step]]:
    """The steps that the output needs and whose values are not known to be golden, with their numbers, in order."""
    writers = program.writers()
    needed: set[int] = set()
    waiting = list(program.outputs)
    while waiting:
        value = waiting.pop()
        step = writers.get(value)
        if step is None or step in needed or keys[value] in golden.numbers:
            continue
        needed.add(step)
        at = program.steps[step]
        waiting += at.arguments if isinstance(at, KernelCall) else (at.argument,)
    return [(number, program.steps[number]) for number in sorted(needed)]

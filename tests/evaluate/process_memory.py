"""A device of a new kind, as small as possible: values and kernels are in another process, behind a pipe."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import tvm

from tvm_mutate.evaluate.memory import CONVERSION, PATTERNS, READ
from tvm_mutate.evaluate.program import KernelCall, Program, ValueType


@dataclass(frozen=True)
class ProcessKernel:
    """A kernel in a library file, with the digest of its code."""

    path: str
    name: str
    digest: str
    undefined_values: bool = False


@dataclass(frozen=True)
class ProcessValue:
    """A value by its number in the other process, and the type under which a kernel gets the value."""

    number: int
    kind: ValueType


def serve(connection: Connection) -> None:
    """Answers requests in the other process until the pipe is closed."""
    values: dict[int, np.ndarray] = {}

    def tensors(given: Sequence[tuple[int, ValueType]]) -> list[tvm.runtime.Tensor]:
        arrays = [values[number].view(kind.dtype).reshape(kind.shape) for number, kind in given]
        return [tvm.runtime.from_dlpack(array) for array in arrays]

    def call(path: str, name: str, arguments: Any, scalars: Sequence[int], results: Any) -> None:
        tvm.runtime.load_module(path)[name](*tensors(arguments), *scalars, *tensors(results))

    def write(number: int, content: bytes) -> None:
        memory = np.empty(len(content) + 64, np.uint8)
        values[number] = memory[-memory.ctypes.data % 64 :][: len(content)]  # aligned, as kernels expect
        values[number][...] = np.frombuffer(content, np.uint8)

    def same(first: int, second: int) -> bool:
        return values[first].tobytes() == values[second].tobytes()

    verbs = {"call": call, "write": write, "same": same, "read": lambda number: values[number].tobytes()}
    while True:
        try:
            verb, arguments = connection.recv()
        except EOFError:
            return
        connection.send(verbs[verb](*arguments))


class ProcessMemory:
    """The memory of the other process."""

    def __init__(self) -> None:
        context = get_context("fork")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self._numbers: Iterator[int] = itertools.count()

    def ask(self, verb: str, *arguments: Any) -> Any:
        self._connection.send((verb, arguments))
        return self._connection.recv()

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self._connection.close()

    def upload(self, array: np.ndarray) -> ProcessValue:
        value = ProcessValue(next(self._numbers), ValueType(tuple(array.shape), str(array.dtype)))
        self.ask("write", value.number, np.ascontiguousarray(array).tobytes())
        return value

    def view(self, value: ProcessValue, kind: ValueType) -> ProcessValue:
        return ProcessValue(value.number, kind)

    def empty(self, kind: ValueType) -> ProcessValue:
        return self.upload(np.zeros(kind.shape, kind.dtype))

    def launch(
        self,
        function: ProcessKernel,
        arguments: list[ProcessValue],
        results: list[ProcessValue],
        scalars: Sequence[int] = (),
    ) -> None:
        given = (
            [(each.number, each.kind) for each in arguments],
            scalars,
            [(each.number, each.kind) for each in results],
        )
        self.ask("call", function.path, function.name, *given)

    def wait(self) -> None:
        pass  # the answer to a call comes when the kernel has ended

    def arena(self, call: KernelCall, program: Program, harmless: bool) -> ProcessArena:
        return ProcessArena(self, [program.types[each] for each in call.results])

    def read(self, value: ProcessValue) -> np.ndarray:
        content = np.frombuffer(self.ask("read", value.number), np.uint8)
        return content.view(value.kind.dtype).reshape(value.kind.shape)


class ProcessArena:
    """Results start as a pattern, which shows values that are never written. There are no bands around buffers."""

    def __init__(self, memory: ProcessMemory, results: Sequence[ValueType]) -> None:
        self._memory, self._kinds, self.kernel_seconds = memory, results, 0.0

    def run(
        self, function: ProcessKernel, arguments: Sequence[ProcessValue], thoroughly: bool, marked: Any = None
    ) -> tuple[list[ProcessValue], set[str]]:
        results, undefined = self._run(function, arguments, PATTERNS[0]), set()
        again = [(each, function, READ) for each in PATTERNS[1:]] if thoroughly else []
        again += [(PATTERNS[0], marked, CONVERSION)] if marked else []
        for pattern, other, kind in again:
            for one, two in zip(results, self._run(other, arguments, pattern), strict=True):
                undefined |= set() if self._memory.ask("same", one.number, two.number) else {kind}
        return results, undefined

    def _run(self, function: ProcessKernel, arguments: Sequence[ProcessValue], pattern: int) -> list[ProcessValue]:
        filled = [self._memory.upload(np.full(kind.byte_count, pattern, np.uint8)) for kind in self._kinds]
        results = [self._memory.view(value, kind) for value, kind in zip(filled, self._kinds, strict=True)]
        started = time.perf_counter()
        self._memory.launch(function, arguments, results)
        self.kernel_seconds += time.perf_counter() - started
        return results


@dataclass(frozen=True)
class ProcessRow:
    """One input and its golden values in the other process."""

    memory: ProcessMemory
    values: Mapping[int, ProcessValue]

    def input(self, number: int) -> ProcessValue:
        return self.values[number]

    def value(self, number: int, kind: ValueType) -> ProcessValue:
        return self.memory.view(self.values[number], kind)

    def find(self, value: ProcessValue, number: int, is_rewired: bool) -> int | None:
        return number if self.memory.ask("same", value.number, self.values[number].number) else None

"""The memory of this machine: values as tensors of this process, golden values in one file that all processes map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import tvm

from tvm_mutate.evaluate.keys import KEY_BYTES, Key, content_key
from tvm_mutate.evaluate.memory import Function
from tvm_mutate.evaluate.program import KernelCall, Program, ValueType
from tvm_mutate.evaluate.program_run import run_calls
from tvm_mutate.evaluate.red_zones import CONVERSION, NEAR_BYTES, PATTERNS, READ, WRITE, is_filled
from tvm_mutate.evaluate.temporaries import Temporaries, temporary_sizes
from tvm_mutate.kernels import Kernel

_ALIGNMENT = 64  # what TVM's kernels expect of their buffers
_PAGE = 4096


class HostValue:
    """A tensor of this process, with its array and the key of its bytes, each made when it is first needed."""

    def __init__(self, tensor: tvm.runtime.Tensor, array: np.ndarray | None = None) -> None:
        self.tensor = tensor
        if array is not None:
            self.array = array

    @classmethod
    def of(cls, array: np.ndarray) -> HostValue:
        """The value that an array holds, without a copy."""
        return cls(tvm.runtime.from_dlpack(array), array)

    @cached_property
    def array(self) -> np.ndarray:
        """The content; it shares memory with the tensor."""
        return np.from_dlpack(self.tensor)


class HostMemory:
    """Values and kernel calls in this process."""

    @cached_property
    def temporaries(self) -> Temporaries:
        """The temporary buffers of mutated kernels; compiled when they are first needed."""
        return Temporaries()

    def view(self, value: HostValue, kind: ValueType) -> HostValue:
        """The same bytes under another shape."""
        return HostValue.of(value.array.reshape(kind.shape))

    def empty(self, kind: ValueType) -> HostValue:
        """A value with undefined content."""
        return HostValue(tvm.runtime.empty(kind.shape, kind.dtype))

    def launch(self, function: Function, arguments: Sequence[HostValue], results: Sequence[HostValue]) -> None:
        """Calls a kernel, which has ended when the call returns."""
        function(*(value.tensor for value in (*arguments, *results)))

    def wait(self) -> None:
        """Does nothing: kernels end before their calls return."""

    def arena(self, call: KernelCall, program: Program, harmless: bool) -> HostArena:
        """The buffers for a call of a mutated kernel."""
        arguments, results = ([program.types[each] for each in numbers] for numbers in (call.arguments, call.results))
        sizes = temporary_sizes(program.kernels[call.kernel])
        return HostArena(arguments, results, self.temporaries, sizes, harmless)

    def read(self, value: HostValue) -> np.ndarray:
        """The content of a value, without a copy."""
        return value.array


class HostArena:
    """The buffers of one call of a mutated kernel, each between two bands of one byte pattern.

    ``arguments`` and ``results`` are the types of what the kernel reads and writes, ``sizes`` those of its temporary
    buffers in bytes. A kernel that is proved to be ``harmless`` gets its arguments without a copy, and short bands.
    """

    def __init__(
        self,
        arguments: Sequence[ValueType],
        results: Sequence[ValueType],
        temporaries: Temporaries,
        sizes: Sequence[int],
        harmless: bool = False,
    ) -> None:
        copied = [] if harmless else list(arguments)
        kinds = [*copied, *results]
        # A wrong index may miss by as much as the buffer is long: the pattern has to reach that far.
        starts, end = _places(kinds, max([NEAR_BYTES, *(kind.byte_count for kind in kinds if not harmless)]))
        self._temporaries, self._sizes, self._harmless = temporaries, sizes, harmless
        memory = np.empty(end + _ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % _ALIGNMENT
        self._memory = memory[start : start + end]
        self._bands = [self._memory[: starts[0]]] + [
            self._memory[at + kind.byte_count : following]
            for at, kind, following in zip(starts, kinds, [*starts[1:], end], strict=True)
        ]
        values = [HostValue.of(_typed(self._memory, at, kind)) for at, kind in zip(starts, kinds, strict=True)]
        self._copies, self._results = values[: len(copied)], values[len(copied) :]
        self._pattern = -1
        self.kernel_seconds = 0.0

    def run(
        self, function: Function, arguments: Sequence[HostValue], thoroughly: bool, marked: Function | None = None
    ) -> tuple[list[HostValue], set[str]]:
        """The results of the kernel under the first pattern, and the kinds of undefined behaviour seen."""
        undefined: set[str] = set()
        expected = None if marked is None else self._run(PATTERNS[0], marked, arguments, undefined, False)
        others = [self._run(each, function, arguments, undefined, True) for each in PATTERNS[1:]] if thoroughly else []
        # The first pattern comes last: what is garbage is the same garbage every time.
        keys = self._run(PATTERNS[0], function, arguments, undefined, thoroughly)
        if any(other != keys for other in others):
            undefined.add(READ)
        if expected is not None and expected != keys:
            undefined.add(CONVERSION)
        return [HostResult(value, key) for value, key in zip(self._results, keys, strict=True)], undefined

    def _run(
        self, pattern: int, function: Function, arguments: Sequence[HostValue], undefined: set[str], thoroughly: bool
    ) -> list[Key]:
        self._fill(pattern)
        for copy, argument in zip(self._copies, arguments, strict=False):  # a harmless kernel has no copies
            copy.array[...] = argument.array.reshape(copy.array.shape)
        before = [content_key(copy.array) for copy in self._copies]
        given = arguments if self._harmless else self._copies
        tensors = [value.tensor for value in (*given, *self._results)]
        self.kernel_seconds += self._temporaries.run(function, tensors, pattern, self._sizes)
        if not self._intact(pattern, thoroughly) or before != [content_key(copy.array) for copy in self._copies]:
            undefined.add(WRITE)
            self._pattern = -1  # the bands have to be filled anew
        return [content_key(value.array) for value in self._results]

    def _fill(self, pattern: int) -> None:
        if self._pattern != pattern:
            self._memory[...] = pattern
            self._pattern = pattern
        for value in self._results:
            value.array.view(np.uint8)[...] = pattern

    def _intact(self, pattern: int, thoroughly: bool) -> bool:
        if thoroughly:
            return all(is_filled(band, pattern) for band in self._bands)
        ends = [end for band in self._bands for end in (band[:NEAR_BYTES], band[-NEAR_BYTES:])]
        return all(is_filled(end, pattern) for end in ends)


class HostResult(HostValue):
    """A result of a mutated kernel, whose bytes have a key already."""

    def __init__(self, value: HostValue, key: Key) -> None:
        super().__init__(value.tensor, value.array)
        self.key = key


class HostRow:
    """One input and its golden values by number, and the numbers of the golden values by the keys of their bytes."""

    def __init__(self, data: np.ndarray, arrays: Mapping[int, np.ndarray], contents: Mapping[Key, int]) -> None:
        self._data, self.arrays, self._contents = data, arrays, contents
        self._values: dict[int, HostValue] = {}

    @classmethod
    def of(cls, data: np.ndarray, arrays: Mapping[int, np.ndarray], numbers: Iterable[int]) -> HostRow:
        """The row of values that were computed just now; those with ``numbers`` are found by content."""
        return cls(data, arrays, {content_key(arrays[number]): number for number in numbers})

    def input(self, number: int) -> HostValue:
        """A copy, aligned as kernels expect: the inputs are mapped read-only, wherever they lie in their file."""
        return HostValue(tvm.runtime.tensor(self._data[np.newaxis]))

    def value(self, number: int, kind: ValueType) -> HostValue:
        """The golden value that a kernel wrote as ``number``, under the type ``kind``."""
        array = self.arrays[number]
        if array.shape != kind.shape or str(array.dtype) != kind.dtype:
            return HostValue.of(array.view(kind.dtype).reshape(kind.shape))
        if number not in self._values:
            self._values[number] = HostValue.of(array)
        return self._values[number]

    def find(self, value: HostValue, number: int, is_rewired: bool) -> int | None:
        """The number of a golden value with the same bits as ``value``, whatever its number, or None."""
        return self._contents.get(value.key if isinstance(value, HostResult) else content_key(value.array))


@dataclass(frozen=True)
class GoldenValues:
    """The golden values of one program on one device, in a file.

    ``path`` is a file with one record of ``record_bytes`` for each of the first ``stored`` inputs; ``offsets`` says
    where in a record a value is. A file beside it, with the suffix ``.keys``, has the keys of the values' bytes, in the
    order of ``offsets``. The values of later inputs are computed again when they are needed.
    """

    path: str
    record_bytes: int
    offsets: dict[int, int]
    stored: int

    def rows(self, program: Program, inputs: np.ndarray) -> list[HostRow]:
        """The rows of the stored inputs, in order.

        They are mapped copy-on-write: what a mutant writes there changes no file and no other process.
        """
        if 0 in (self.stored, self.record_bytes):
            return [HostRow(data, {}, {}) for data in inputs[: self.stored]]
        shape = (self.stored, self.record_bytes)
        records = np.memmap(self.path, np.uint8, mode="c", shape=shape)
        keys, length = Path(f"{self.path}.keys").read_bytes(), len(self.offsets) * KEY_BYTES
        return [
            HostRow(
                inputs[position],
                {number: _typed(record, at, program.types[number]) for number, at in self.offsets.items()},
                {keys[at : at + KEY_BYTES]: number for number, at in self._key_places(position * length)},
            )
            for position, record in enumerate(records)
        ]

    def _key_places(self, start: int) -> list[tuple[int, int]]:
        return [(number, start + position * KEY_BYTES) for position, number in enumerate(self.offsets)]


def record_golden(
    program: Program, kernels: Mapping[str, Kernel], inputs: np.ndarray, path: Path, limit_bytes: int
) -> tuple[GoldenValues, np.ndarray]:
    """Runs the unmutated program on all inputs: its golden values, and its scores of shape [inputs, classes].

    As many inputs as ``limit_bytes`` has room for are written to ``path``.
    """
    offsets, record_bytes = _layout(program)
    stored = min(len(inputs), limit_bytes // max(record_bytes, 1))
    rows, memory = [], HostMemory()
    with path.open("wb") as file, Path(f"{path}.keys").open("wb") as keys:
        for position, data in enumerate(inputs):
            values = run_on_host(program, kernels, data, memory)
            rows.append(values[program.outputs[0]].reshape(-1).copy())
            if position < stored:
                record = np.zeros(record_bytes, np.uint8)
                for number, offset in offsets.items():
                    _typed(record, offset, program.types[number])[...] = values[number]
                file.write(record.data)
                keys.write(b"".join(content_key(values[number]) for number in offsets))
    return GoldenValues(str(path), record_bytes, offsets, stored), np.stack(rows)


def start_values(program: Program, data: np.ndarray) -> dict[int, HostValue]:
    """The inputs (``data`` is one input without its batch axis) and the constants of a program, by number."""
    values = {number: HostValue(tvm.runtime.tensor(data[np.newaxis])) for number in program.inputs}
    return values | constants_of(program)


def constants_of(program: Program) -> dict[int, HostValue]:
    """The constants of a program, by number."""
    return {number: HostValue(tensor) for number, tensor in program.constants.items()}


def run_on_host(
    program: Program, kernels: Mapping[str, Kernel], data: np.ndarray, memory: HostMemory
) -> dict[int, np.ndarray]:
    """All values of an unmutated program for one input (without its batch axis), by number."""
    values = start_values(program, data)
    for _ in run_calls(program, {name: kernel.run for name, kernel in kernels.items()}, memory, values):
        pass
    return {number: value.array for number, value in values.items()}


def _layout(program: Program) -> tuple[dict[int, int], int]:
    """Where in a record each value that a kernel writes is, and how long a record is, in bytes."""
    offsets: dict[int, int] = {}
    end = 0
    for step in program.steps:
        for number in step.results if isinstance(step, KernelCall) else ():
            offsets[number] = end
            end += -(-program.types[number].byte_count // _ALIGNMENT) * _ALIGNMENT
    return offsets, -(-end // _PAGE) * _PAGE  # a file can be mapped only from a page on


def _places(kinds: Sequence[ValueType], band: int) -> tuple[list[int], int]:
    """Where each buffer starts, and how long the memory is: a band before the first and one after each."""
    aligned = -(-band // _ALIGNMENT) * _ALIGNMENT
    starts, end = [], aligned
    for kind in kinds:
        starts.append(end)
        end += -(-kind.byte_count // _ALIGNMENT) * _ALIGNMENT + aligned
    return starts, end


def _typed(memory: np.ndarray, offset: int, kind: ValueType) -> np.ndarray:
    return memory[offset : offset + kind.byte_count].view(kind.dtype).reshape(kind.shape)

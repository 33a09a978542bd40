"""Golden values: what the unmutated program computes at every step for every input, in one file that all can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tvm

from tvm_mutate.evaluate.keys import KEY_BYTES, Key, content_key
from tvm_mutate.kernels import Kernel
from tvm_mutate.program import KernelCall, Program, ValueType, View

_ALIGNMENT = 64  # what TVM's kernels expect of their buffers


@dataclass(frozen=True)
class Golden:
    """The golden values of one program on one device for some inputs.

    ``path`` is a file with one record an input, ``record_bytes`` long; ``offsets`` says where in a record a value is.
    Beside it, in a file with the suffix ``.keys``, are the keys of the values' bytes, in the order of ``offsets``.
    Inputs beyond ``stored`` have no record: their values are calculated again when they are needed.
    """

    path: str
    record_bytes: int
    offsets: dict[int, int]
    stored: int


class GoldenRow:
    """The golden values of one input, by number, and their numbers by the keys of their bytes."""

    def __init__(self, arrays: Mapping[int, np.ndarray], contents: Mapping[Key, int]) -> None:
        self.arrays, self.contents = arrays, contents
        self._tensors: dict[int, tvm.runtime.Tensor] = {}

    def tensor(self, number: int) -> tvm.runtime.Tensor:
        """A value as kernels take it."""
        if number not in self._tensors:
            self._tensors[number] = tvm.runtime.from_dlpack(self.arrays[number])
        return self._tensors[number]

    @classmethod
    def of(cls, values: Mapping[int, np.ndarray], numbers: Mapping[int, int]) -> GoldenRow:
        """The row of values that were calculated just now, with those of ``numbers`` to be found by content."""
        return cls(values, {content_key(values[number]): number for number in numbers})


class GoldenFile:
    """The stored golden values of a program, mapped so that writing to them changes no file and no other process.

    ``rows`` are those of the stored inputs, in order.
    """

    def __init__(self, golden: Golden, program: Program) -> None:
        self.golden = golden
        keys = Path(f"{golden.path}.keys").read_bytes()
        length = len(golden.offsets) * KEY_BYTES
        self.rows = [
            GoldenRow(
                {number: _typed(record, at, program.types[number]) for number, at in golden.offsets.items()},
                {keys[at : at + KEY_BYTES]: number for number, at in self._key_places(position * length)},
            )
            for position, record in enumerate(self._mapped())
        ]

    def _mapped(self) -> np.ndarray:
        shape = (self.golden.stored, self.golden.record_bytes)
        if 0 in shape:
            return np.empty(shape, np.uint8)
        return np.memmap(self.golden.path, np.uint8, mode="c", shape=shape)

    def _key_places(self, start: int) -> list[tuple[int, int]]:
        return [(number, start + i * KEY_BYTES) for i, number in enumerate(self.golden.offsets)]


def layout(program: Program) -> tuple[dict[int, int], int]:
    """Where in a record each value that a kernel writes is, and how long a record is, in bytes."""
    offsets: dict[int, int] = {}
    end = 0
    for step in program.steps:
        for number in step.results if isinstance(step, KernelCall) else ():
            offsets[number] = end
            end += -(-program.types[number].byte_count // _ALIGNMENT) * _ALIGNMENT
    return offsets, -(-end // 4096) * 4096  # records begin at pages, where a file can be mapped


def record_golden(
    program: Program, kernels: Mapping[str, Kernel], inputs: np.ndarray, path: Path, limit_bytes: int
) -> tuple[Golden, np.ndarray]:
    """Runs the unmutated program on all inputs: its golden values, and its scores of shape [inputs, classes].

    Values are written to ``path`` for as many inputs as ``limit_bytes`` has room for.
    """
    offsets, record_bytes = layout(program)
    stored = min(len(inputs), limit_bytes // max(record_bytes, 1))
    rows = []
    with path.open("wb") as file, Path(f"{path}.keys").open("wb") as keys:
        for position, data in enumerate(inputs):
            values = run_steps(program, kernels, data)
            rows.append(values[program.outputs[0]].reshape(-1).copy())
            if position < stored:
                record = np.zeros(record_bytes, np.uint8)
                for number, offset in offsets.items():
                    _typed(record, offset, program.types[number])[...] = values[number]
                file.write(record.data)
                keys.write(b"".join(content_key(values[number]) for number in offsets))
    return Golden(str(path), record_bytes, offsets, stored), np.stack(rows)


def run_steps(program: Program, kernels: Mapping[str, Kernel], data: np.ndarray) -> dict[int, np.ndarray]:
    """All values of a program for one input (without its batch axis), by number."""
    tensors: dict[int, tvm.runtime.Tensor] = {}
    for _ in run_calls(program, kernels, data, tensors):
        pass
    return {number: np.from_dlpack(tensor) for number, tensor in tensors.items()}


def run_calls(
    program: Program,
    kernels: Mapping[str, Kernel],
    data: np.ndarray,
    tensors: dict[int, tvm.runtime.Tensor] | None = None,
) -> Iterator[tuple[KernelCall, list[np.ndarray]]]:
    """Each kernel call of a program on one input (without its batch axis) with its results, as they come.

    ``tensors`` gets all values, by number.
    """
    tensors = {} if tensors is None else tensors
    tensors.update({number: tvm.runtime.tensor(data[np.newaxis]) for number in program.inputs})
    tensors.update(program.constants)
    for step in program.steps:
        if isinstance(step, View):
            tensors[step.result] = viewed(tensors[step.argument], program.types[step.result])
        else:
            results = [empty(program.types[number]) for number in step.results]
            kernels[step.kernel].run(*(tensors[number] for number in step.arguments), *results)
            tensors.update(zip(step.results, results, strict=True))
            yield step, [np.from_dlpack(each) for each in results]


def empty(kind: ValueType) -> tvm.runtime.Tensor:
    """A tensor of the value's type whose content is undefined."""
    return tvm.runtime.empty(kind.shape, kind.dtype)


def viewed(tensor: tvm.runtime.Tensor, kind: ValueType) -> tvm.runtime.Tensor:
    """The tensor's bytes under another shape."""
    return tvm.runtime.from_dlpack(np.from_dlpack(tensor).reshape(kind.shape))


def _typed(record: np.ndarray, offset: int, kind: ValueType) -> np.ndarray:
    return record[offset : offset + kind.byte_count].view(kind.dtype).reshape(kind.shape)

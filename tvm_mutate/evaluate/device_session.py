"""What answers in a session on a device: golden values lie there, and mutants are run against them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tvm

from tvm_mutate.device import Place, Stage
from tvm_mutate.evaluate.device_line import DeviceKernel, DeviceLine, DeviceTask
from tvm_mutate.evaluate.device_memory import Block, DeviceMemory, byte_count
from tvm_mutate.evaluate.keys import Key
from tvm_mutate.evaluate.mutated import GoldenKeys, Trace
from tvm_mutate.evaluate.rebuild import RUNNING
from tvm_mutate.program import Program, View

PREPARING = "prepare"


@dataclass(frozen=True)
class Unmutated:
    """What a session needs of the unmutated program, which it inherits.

    ``library`` and ``memory_library`` are paths of its kernels and of those on memory; ``constants`` are the keys of
    its constants by number; ``limit_bytes`` is how much memory golden values may take on the device.
    """

    program: Program
    kernels: Mapping[str, DeviceKernel]
    keys: GoldenKeys
    constants: Mapping[int, Key]
    library: str
    memory_library: str
    inputs: np.ndarray
    limit_bytes: int
    is_asynchronous: bool


@dataclass(frozen=True)
class ScoresRequest:
    """Asks for the scores of the unmutated program, whose kernels are run one by one on all inputs."""


@dataclass(frozen=True)
class Scores:
    """The scores, shape [inputs, classes], and for how many inputs golden values are kept on the device."""

    rows: np.ndarray
    stored: int


@dataclass(frozen=True)
class Course:
    """What came of a mutant: the scores and the seconds of each input, and what it did on the way.

    ``is_intact`` says whether what lies on the device for all mutants is what it was before.
    """

    rows: tuple[np.ndarray, ...]
    seconds: tuple[float, ...]
    trace: Trace
    is_intact: bool


class DeviceSession:
    """A session: the place is opened, kernels are loaded and constants uploaded once; golden values when needed."""

    def __init__(self, stage: Stage, place: Place, unmutated: Unmutated) -> None:
        self._place, self._unmutated = place, unmutated
        device = place.open()
        stage(PREPARING)
        self._memory = DeviceMemory(device, place.load(Path(unmutated.memory_library)), unmutated.is_asynchronous)
        stage(PREPARING)
        library = place.load(Path(unmutated.library))
        self._library = library
        self._functions = {name: library[kernel.name] for name, kernel in unmutated.kernels.items()}
        self._constants: dict[Key, Block] = {}
        for number, key in unmutated.constants.items():
            if key not in self._constants:
                self._constants[key] = self._memory.upload(unmutated.program.constants[number].numpy())
                stage(PREPARING)
        self._rows: dict[int, dict[int, Block]] = {}
        self._kept: list[Block] = list(self._constants.values())
        self._sums = self._memory.checksums(self._kept)
        self._room = unmutated.limit_bytes

    def answer(self, stage: Stage, request: ScoresRequest | DeviceTask) -> Scores | Course:
        """The answer to a request."""
        if isinstance(request, ScoresRequest):
            return self._scores(stage)
        return self._course(stage, request)

    def _scores(self, stage: Stage) -> Scores:
        rows = []
        (output, *_) = self._unmutated.program.outputs
        for position in range(len(self._unmutated.inputs)):
            values = self._row(position)
            stage(PREPARING)
            rows.append(self._known(values, output).tensor.numpy().reshape(-1))
        return Scores(np.stack(rows), len(self._rows))

    def _course(self, stage: Stage, task: DeviceTask) -> Course:
        if 0 not in self._rows:
            stage(PREPARING)
        row = self._row(0)
        # From here on the mutant has to answer for what happens, also while further golden values are made.
        stage(RUNNING, task.progress)
        line = self._line(task)
        rows: list[np.ndarray] = []
        seconds: list[float] = []
        for position in range(len(self._unmutated.inputs)):
            row = row if position == 0 else self._row(position)
            started = time.perf_counter()
            rows.append(line.output(row, first=position == 0))
            seconds.append(time.perf_counter() - started)
            stage(RUNNING)
            if task.stop is not None and task.stop.is_settled(rows):
                break
        intact = not task.guarded or self._memory.checksums(self._kept) == self._sums
        return Course(tuple(rows), tuple(seconds), line.trace, intact)

    def _line(self, task: DeviceTask) -> DeviceLine:
        own = self._place.load(Path(task.library)) if task.library else None
        new = {key: self._memory.upload(array) for key, array in task.new.items()}
        constants = {number: new[key] if key in new else self._constants[key] for number, key in task.constants.items()}
        functions = {name: self._function(kernel, own) for name, kernel in task.mutated.kernels.items()}
        library = self._place.load(Path(task.marked_library)) if task.marked_library else {}
        marked = {name: library[name] for name in task.marked}
        return DeviceLine(task, self._unmutated.keys, self._memory, functions, marked, constants)

    def _function(self, kernel: DeviceKernel, own: tvm.runtime.Module | None) -> Callable[..., Any]:
        if not kernel.is_own:
            return self._functions[kernel.name]
        assert own is not None
        function: Callable[..., Any] = own[kernel.name]
        return function

    def _row(self, position: int) -> Mapping[int, Block]:
        """An input and its golden values: those on the device, or calculated now, and kept if there is room."""
        if position in self._rows:
            return self._rows[position]
        row = self._calculated(self._unmutated.inputs[position])
        blocks = list(row.values())
        if byte_count(blocks) <= self._room:
            self._room -= byte_count(blocks)
            self._rows[position] = row
            self._kept += blocks
            self._sums += self._memory.checksums(blocks)
        else:
            self._room = 0  # the first inputs are those that are kept
        return row

    def _calculated(self, data: np.ndarray) -> dict[int, Block]:
        program, memory = self._unmutated.program, self._memory
        kept = {number: memory.upload(data[np.newaxis]) for number in program.inputs}
        values = {number: self._constants[key] for number, key in self._unmutated.constants.items()} | kept
        for step in program.steps:
            if isinstance(step, View):
                values[step.result] = values[step.argument].as_type(program.types[step.result])
                continue
            results = {number: memory.empty(program.types[number]) for number in step.results}
            blocks: Sequence[Block] = [*(values[number] for number in step.arguments), *results.values()]
            self._functions[step.kernel](*(block.tensor for block in blocks))
            values.update(results)
            kept.update(results)
        memory.wait()
        return kept

    def _known(self, row: Mapping[int, Block], number: int) -> Block:
        """A value of the unmutated program: written by a kernel, or a view of one that was."""
        key = self._unmutated.keys.keys[number] or b""
        return row[self._unmutated.keys.numbers[key]].as_type(self._unmutated.program.types[number])

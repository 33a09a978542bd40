"""Content-addressed evaluation: only values whose key is not known are calculated, kernel by kernel."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tvm

from tvm_mutate.build import Kernel, KernelCache
from tvm_mutate.device import Device, Ending, Stage, run_isolated
from tvm_mutate.evaluate.golden import Golden, byte_count, empty, record_golden, run_steps
from tvm_mutate.evaluate.keys import ConstantKeys, Key, call_key, content_key, value_keys
from tvm_mutate.evaluate.rebuild import COMPILING, RUNNING, Run
from tvm_mutate.evaluate.red_zones import run_guarded
from tvm_mutate.evaluate.workspace import Workspace
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes import Applied, mutation_pass, selections_by_slot
from tvm_mutate.pipeline import Selections, Stages, slotted_tir_pipeline
from tvm_mutate.program import KernelCall, NotStraightLineError, Program, ValueType, View, take_program

MOST_CHANGED = 6


@dataclass(frozen=True)
class Unsuitable:
    """A mutant is not evaluated by content, and why; it goes to the full rebuild."""

    reason: str


@dataclass
class _Trace:
    """What one mutant did along the program, over all inputs."""

    reached: bool = False
    infected: bool = False
    masked_by: set[str] = field(default_factory=set)
    undefined: set[str] = field(default_factory=set)
    kernel_runs: int = 0


class ContentEvaluator:
    """Evaluates mutants of one model on one CPU device against its golden values; each in a child process.

    The unmutated kernels are compiled once, here, and inherited by the children. ``inputs`` has shape [inputs, *input
    shape of the model]. Raises NotStraightLineError for a model that is no straight line of kernel calls.
    """

    def __init__(
        self, stages: Stages, inputs: np.ndarray, device: Device, catalogue: Catalogue, golden: Golden, folder: Path
    ) -> None:
        self.stages, self.inputs, self.device, self.catalogue, self.golden = stages, inputs, device, catalogue, golden
        self.program = take_program(stages.at(Slot.KERNEL))
        self._cache = KernelCache(stages.target, folder)
        self._kernels = compile_all(self.program, self._cache)
        self._constants = ConstantKeys()
        self.workspace = Workspace(2 * max(map(byte_count, self.program.types)))
        digests = {name: kernel.digest for name, kernel in self._kernels.items()}
        self._keys = value_keys(self.program, digests, self._constants)
        # Only what kernels write: a view shares its argument's key, and has no bytes of its own.
        self._numbers = {self._keys[number] or b"": number for number in golden.offsets}

    def evaluate(self, mutant: Mutant, seconds: float, same_code: str) -> Ending:
        """The ending of evaluating the mutant; its value is a Run, or Unsuitable.

        The digest of a run whose code is that of the unmutated model is ``same_code``.
        """
        selections = selections_by_slot(mutant.mutations, self.catalogue)
        return run_isolated(lambda stage: self._run(selections, stage, same_code), seconds)

    def _run(self, selections: Selections, stage: Stage, same_code: str) -> Run | Unsuitable:
        stage(COMPILING)
        started = time.monotonic()
        applied: list[Applied] = []
        try:
            program = take_program(self.stages.mutated(selections, applied))
        except NotStraightLineError as error:
            return Unsuitable(f"no straight line: {error}")
        stage(COMPILING, tuple(applied))
        late: Selections = {slot: each for slot, each in selections.items() if slot in (Slot.LOWERED, Slot.CODEGEN)}
        names = called(program)
        changed = {name for name in names if program.kernels[name] not in self._cache or _touches(late, name)}
        if len(changed) > MOST_CHANGED:
            return Unsuitable(f"{len(changed)} kernels changed: one build of the whole model is cheaper")
        kernels = {name: self._compile(program, name, late, applied) for name in names}
        keys = value_keys(program, {name: kernel.digest for name, kernel in kernels.items()}, self._constants)
        built = time.monotonic() - started
        stage(RUNNING, tuple(applied))
        if [keys[number] for number in program.outputs] == [self._keys[number] for number in self.program.outputs]:
            return Run(tuple(applied), same_code, built, kernel_runs=0)
        return self._run_inputs(program, kernels, keys, changed, tuple(applied), built)

    def _compile(self, program: Program, name: str, late: Selections, applied: list[Applied]) -> Kernel:
        if not _touches(late, name):
            return self._cache.get(program.kernels[name])
        passes = {slot: mutation_pass(chosen, applied.extend) for slot, chosen in late.items()}
        with slotted_tir_pipeline(passes) as tir_pipeline:
            return self._cache.build(program.kernels[name], name, tir_pipeline)

    def _run_inputs(
        self,
        program: Program,
        kernels: Mapping[str, Kernel],
        keys: list[Key | None],
        changed: set[str],
        applied: tuple[Applied, ...],
        built: float,
    ) -> Run:
        trace = _Trace()
        rows, seconds = [], []
        for position, data in enumerate(self.inputs):
            started = time.perf_counter()
            values = (
                self.golden.values(self.program, position)
                if position < self.golden.stored
                else run_steps(self.program, self._kernels, data)
            )
            line = _Line(self, program, kernels, list(keys), changed, values, position)
            rows.append(line.output(data, trace))
            seconds.append(time.perf_counter() - started)
        digest = (keys[program.outputs[0]] or b"").hex()
        return Run(
            applied,
            digest,
            built,
            np.stack(rows),
            tuple(seconds),
            reached=trace.reached,
            infected=trace.infected,
            masked_by=tuple(sorted(trace.masked_by)),
            undefined=tuple(sorted(trace.undefined)),
            kernel_runs=trace.kernel_runs,
        )


class _Line:
    """One input on its way through a mutated program."""

    def __init__(
        self,
        evaluator: ContentEvaluator,
        program: Program,
        kernels: Mapping[str, Kernel],
        keys: list[Key | None],
        changed: set[str],
        golden: dict[int, np.ndarray],
        position: int,
    ) -> None:
        self._program, self._kernels, self._keys, self._changed = program, kernels, keys, changed
        self._golden, self._numbers, self._golden_keys = golden, evaluator._numbers, evaluator._keys
        stored = evaluator.golden
        self._contents = (
            stored.contents(position)
            if position < stored.stored
            else {content_key(golden[number]): number for number in stored.offsets}
        )
        self._workspace = evaluator.workspace
        self._first = position == 0
        self._values: dict[int, np.ndarray] = {}

    def output(self, data: np.ndarray, trace: _Trace) -> np.ndarray:
        """The scores of the input, shape [classes]."""
        program = self._program
        for number in program.inputs:
            # A copy, aligned as kernels expect: inputs are mapped read-only, wherever they lie in their file.
            self._values[number] = np.from_dlpack(tvm.runtime.tensor(data[np.newaxis]))
        needed = self._needed()
        for number, step in enumerate(program.steps):
            if number not in needed:
                continue
            if isinstance(step, View):
                self._keys[step.result] = self._keys[step.argument]
                if step.argument in self._values:
                    self._values[step.result] = self._values[step.argument]
            else:
                self._call(step, trace)
        return self._fetch(program.outputs[0]).reshape(-1).copy()

    def _needed(self) -> set[int]:
        """The steps that the output needs, as far as is known before any has run."""
        writers = self._program.writers()
        needed: set[int] = set()
        waiting = list(self._program.outputs)
        while waiting:
            value = waiting.pop()
            step = writers.get(value)
            if step is None or step in needed or self._is_golden(value):
                continue
            needed.add(step)
            at = self._program.steps[step]
            waiting += at.arguments if isinstance(at, KernelCall) else (at.argument,)
        return needed

    def _call(self, step: KernelCall, trace: _Trace) -> None:
        arguments = [self._keys[number] for number in step.arguments]
        for position, result in enumerate(step.results):
            self._keys[result] = call_key(self._kernels[step.kernel].digest, arguments, position)
        if all(self._is_golden(result) for result in step.results):
            return
        mutated = step.kernel in self._changed
        kinds = [self._program.types[result] for result in step.results]
        if mutated:
            given = [self._fetch(number) for number in step.arguments]
            results, undefined = run_guarded(
                self._kernels[step.kernel], given, kinds, self._workspace, twice=self._first
            )
            trace.undefined |= undefined
        else:
            tensors = [self._tensor(number) for number in step.arguments]
            results = _run_plain(self._kernels[step.kernel], tensors, kinds)
        trace.kernel_runs += 1
        same = [self._take(result, array) for result, array in zip(step.results, results, strict=True)]
        trace.reached |= mutated
        trace.infected |= mutated and not all(same)
        if trace.infected and not mutated and all(same):
            trace.masked_by.add(step.kernel)

    def _take(self, number: int, array: np.ndarray) -> bool:
        """Notes a calculated value; if its bytes are those of a golden value it takes that value's key."""
        twin = self._contents.get(content_key(array))
        if twin is not None:
            self._keys[number] = self._golden_keys[twin]
            return True
        self._values[number] = array
        return False

    def _is_golden(self, number: int) -> bool:
        twin = self._numbers.get(self._keys[number] or b"")
        return twin is not None and twin in self._golden

    def _tensor(self, number: int) -> tvm.runtime.Tensor:
        constant = self._program.constants.get(number)
        return tvm.runtime.from_dlpack(self._fetch(number)) if constant is None else constant

    def _fetch(self, number: int) -> np.ndarray:
        kind = self._program.types[number]
        if number in self._values:
            return self._values[number].reshape(kind.shape)
        if number in self._program.constants:
            return np.from_dlpack(self._program.constants[number])
        twin = self._numbers[self._keys[number] or b""]
        return self._golden[twin].view(kind.dtype).reshape(kind.shape)


def called(program: Program) -> list[str]:
    """The names of the kernels that a program calls, each once, in order."""
    return list(dict.fromkeys(step.kernel for step in program.steps if isinstance(step, KernelCall)))


def compile_all(program: Program, cache: KernelCache) -> dict[str, Kernel]:
    """The compiled kernels that a program calls, by name."""
    return {name: cache.get(program.kernels[name]) for name in called(program)}


def golden_in_child(stages: Stages, inputs: np.ndarray, path: Path, limit_bytes: int, seconds: float) -> Ending:
    """The ending of running the unmutated program in a child: its value is a Golden and the scores."""

    def task(stage: Stage) -> tuple[Golden, np.ndarray]:
        stage(COMPILING)
        program = take_program(stages.at(Slot.KERNEL))
        kernels = compile_all(program, KernelCache(stages.target, path.parent / f"{path.stem}-kernels"))
        stage(RUNNING)
        return record_golden(program, kernels, inputs, path, limit_bytes)

    return run_isolated(task, seconds)


def _touches(late: Selections, name: str) -> bool:
    return any(selection.mutation.matches(name) for chosen in late.values() for selection in chosen)


def _run_plain(kernel: Kernel, given: list[tvm.runtime.Tensor], kinds: list[ValueType]) -> list[np.ndarray]:
    results = [empty(kind) for kind in kinds]
    kernel.run(*given, *results)
    return [np.from_dlpack(result) for result in results]

"""Content-addressed evaluation on a device that is not this process: remote ones and GPUs, whose values stay there."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tvm.tirx import PrimFunc

from tvm_mutate.device import Device, Ending, LastingSession, RemoteTasks, Stage, mutant_headroom, run_isolated
from tvm_mutate.errors import UsageError
from tvm_mutate.evaluate.builder import Built, MutantBuilder
from tvm_mutate.evaluate.device_line import DeviceKernel, DeviceTask
from tvm_mutate.evaluate.device_session import Course, DeviceSession, Scores, ScoresRequest, Unmutated
from tvm_mutate.evaluate.keys import ConstantKeys, Key
from tvm_mutate.evaluate.mutated import GoldenKeys, Unsuitable, with_course
from tvm_mutate.evaluate.rebuild import COMPILING, RUNNING, Progress, Run
from tvm_mutate.evaluate.red_zones import WRITE
from tvm_mutate.evaluate.stopping import StopRule
from tvm_mutate.kernels import (
    Library,
    build_library,
    memory_kernels,
    missing_compiler,
    user_kernel_store,
    write_library,
)
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Selections, Stages
from tvm_mutate.program import Program, take_program

_OWN, _MARKED = "mutant.so", "marked.so"
OTHER_BITS = "the unmutated model gives other bits kernel by kernel than as a whole"


@dataclass(frozen=True)
class PreparedSession:
    """The unmutated program of one model for one device, ready for sessions there in any process.

    ``library`` holds its kernels, ``memory`` those on memory. On the device golden values may take ``limit_bytes``:
    they fit for so many inputs as are ``stored``.
    """

    library: Library
    memory: Library
    limit_bytes: int
    stored: int = 0


@dataclass(frozen=True)
class SessionPreparation:
    """What to prepare: files in ``folder``, and golden values of at most ``limit_bytes`` on the device."""

    folder: Path
    limit_bytes: int


class SessionEvaluator:
    """Evaluates mutants of one model on one device against golden values that lie there.

    A mutant is built in a child process of its own, and its changed kernels go to a session that lasts over many
    mutants. ``inputs`` has shape [inputs, *input shape of the model]. Raises NotStraightLineError for a model that is
    no straight line of kernel calls.
    """

    def __init__(
        self,
        stages: Stages,
        inputs: np.ndarray,
        device: Device,
        catalogue: Catalogue,
        prepared: PreparedSession,
        tasks: RemoteTasks | None = None,
    ) -> None:
        self.stages, self.device, self.catalogue = stages, device, catalogue
        program = take_program(stages.at(Slot.KERNEL))
        plain = {name: DeviceKernel(name, digest) for name, digest in prepared.library.digests.items()}
        running = {kernel.digest: kernel for kernel in plain.values()}
        self._builder = MutantBuilder(stages, program, plain, running, self._compile)
        self._unmutated = Unmutated(
            program,
            plain,
            GoldenKeys.of(program, self._builder.keys),
            _constant_keys(program, self._builder.constants),
            prepared.library.path,
            prepared.memory.path,
            inputs,
            prepared.limit_bytes,
            is_asynchronous=device.kind != "cpu",
        )
        self.session = LastingSession(
            device,
            lambda stage, place: DeviceSession(stage, place, self._unmutated).answer,
            RUNNING,
            tasks or RemoteTasks(),
            _headroom(device, prepared.limit_bytes),
        )

    def scores(self, seconds: float) -> Ending:
        """The ending of running the unmutated kernels one by one; its value is :class:`Scores`."""
        return self.session.ask(ScoresRequest(), seconds)

    def evaluate(self, mutant: Mutant, seconds: float, same_code: str, stop: StopRule | None = None) -> Ending:
        """The ending of evaluating the mutant; its value is a Run, or Unsuitable.

        The digest of a run whose code is that of the unmutated model is ``same_code``. With ``stop`` the inputs that
        come after what it takes for the end are not run.
        """
        selections = selections_by_slot(mutant.mutations, self.catalogue)
        self._builder.prepare(selections)
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            built = run_isolated(
                lambda stage: self._built(selections, stage, same_code, stop, Path(folder)), seconds, mutant_headroom()
            )
            if not isinstance(built.value, _Ready):
                return built
            task, run = built.value.task, built.value.run
            ending = self.session.ask(task, seconds, harmful=bool(task.guarded))
        ending = replace(ending, seconds=built.seconds + ending.seconds, note=ending.note or task.progress)
        if isinstance(ending.value, Course):
            ending = replace(ending, value=self._finished(run, ending.value))
        self.session.close_if_wanted()
        return ending

    def rest(self) -> None:
        """Gives the session back; the next mutant opens another."""
        self.session.close()

    def _finished(self, run: Run, course: Course) -> Run:
        if not course.is_intact:
            # It wrote over what all mutants are compared with: nobody else may meet that.
            self.session.close()
            course.trace.undefined.add(WRITE)
        run = with_course(run, course.rows, course.seconds, course.trace)
        self._builder.remember(run)
        return run

    def _built(
        self, selections: Selections, stage: Stage, same_code: str, stop: StopRule | None, folder: Path
    ) -> Run | Unsuitable | _Ready:
        built = self._builder.build(selections, stage, same_code, folder)
        if not isinstance(built, Built):
            return built
        program = built.mutated.program
        rewired = self._builder.is_rewired(selections, built.run.applied)
        known = set(self._unmutated.constants.values())
        constants = _constant_keys(program, self._builder.constants)
        if built.marked:
            write_library(built.marked, self.stages.target, folder / _MARKED, self.device.toolchain)
        task = DeviceTask(
            replace(built.mutated, program=replace(program, kernels={}, constants={})),
            constants,
            {key: program.constants[number].numpy() for number, key in constants.items() if key not in known},
            built.mutated.changed - built.harmless,
            rewired,
            str(folder / _OWN) if any(kernel.is_own for kernel in built.mutated.kernels.values()) else None,
            str(folder / _MARKED) if built.marked else None,
            frozenset(built.marked),
            stop,
            Progress(built.run.applied, built.run.undefined),
        )
        return _Ready(task, built.run)

    def _compile(self, functions: Mapping[str, PrimFunc], folder: Path, tir_pipeline: str) -> dict[str, DeviceKernel]:
        finished = write_library(functions, self.stages.target, folder / _OWN, self.device.toolchain, tir_pipeline)
        return {
            name: DeviceKernel(name, digest, is_own=True, undefined_values=name in finished.undefined_values)
            for name, digest in finished.digests.items()
        }


@dataclass(frozen=True)
class _Ready:
    """A mutant that is built, and what it is to become a run with."""

    task: DeviceTask
    run: Run


def prepare_session(
    stages: Stages,
    inputs: np.ndarray,
    outputs: np.ndarray,
    device: Device,
    catalogue: Catalogue,
    wanted: SessionPreparation,
    seconds: float,
    tasks: RemoteTasks | None = None,
) -> PreparedSession | str:
    """What sessions on the device need, or a text that says why there is none.

    ``inputs`` has shape [inputs, *input shape of the model]; ``outputs`` are the scores of the whole unmutated build on
    the device, which the kernels one by one have to give bit by bit.
    """
    ending = run_isolated(lambda stage: _compiled(stages, device, wanted, stage), seconds)
    if ending.kind != "finished":
        return f"the unmutated model is not run kernel by kernel: {ending.reason}"
    prepared: PreparedSession = ending.value
    evaluator = SessionEvaluator(stages, inputs, device, catalogue, prepared, tasks)
    try:
        ending = evaluator.scores(seconds)
    finally:
        evaluator.session.close()
    found: Any = ending.value
    if not isinstance(found, Scores):
        return f"the unmutated model is not run kernel by kernel: {ending.reason}"
    return OTHER_BITS if found.rows.tobytes() != outputs.tobytes() else replace(prepared, stored=found.stored)


def _compiled(stages: Stages, device: Device, wanted: SessionPreparation, stage: Stage) -> PreparedSession:
    stage(COMPILING)
    tools, store = device.toolchain, user_kernel_store()
    if not tools.is_there:
        raise UsageError(missing_compiler("a library of kernels for a device", tools))
    functions = take_program(stages.at(Slot.KERNEL)).called()
    library = build_library(functions, stages.target, wanted.folder / "kernels", store, tools)
    stage(COMPILING)
    # By themselves: what else is in a module moves the code of its kernels.
    memory = build_library(memory_kernels(stages.target), stages.target, wanted.folder / "memory", store, tools)
    return PreparedSession(library, memory, wanted.limit_bytes)


def _constant_keys(program: Program, constants: ConstantKeys) -> dict[int, Key]:
    return {number: constants.of(tensor) for number, tensor in program.constants.items()}


def _headroom(device: Device, limit_bytes: int) -> int | None:
    """How much memory the child of a session may take; drivers of GPUs reserve more than there is."""
    if device.is_remote:
        return mutant_headroom()
    return mutant_headroom() + limit_bytes if device.is_processor else None

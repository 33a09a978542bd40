"""Content-addressed evaluation over a session on a device: remote devices and GPUs, whose values stay there."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm.tirx import PrimFunc

from tvm_mutate.device import (
    Device,
    Ending,
    EndingKind,
    PersistentSession,
    RemoteTasks,
    Session,
    Stage,
    mutant_headroom,
    run_isolated,
)
from tvm_mutate.errors import UsageError
from tvm_mutate.evaluate.builder import Built, MutantBuilder
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING, Evaluation, Progress, Unsuitable
from tvm_mutate.evaluate.keys import GoldenKeys, Key, MutatedProgram
from tvm_mutate.evaluate.memory import Function
from tvm_mutate.evaluate.program import Program, take_program
from tvm_mutate.evaluate.program_run import InputsRun, ProgramRun, run_calls
from tvm_mutate.evaluate.red_zones import WRITE
from tvm_mutate.evaluate.session_memory import Block, SessionMemory, SessionRow, byte_count
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

PREPARING = "prepare"
OTHER_BITS = "the unmutated model gives other bits kernel by kernel than as a whole"
_OWN, _MARKED = "mutant.so", "marked.so"


@dataclass(frozen=True)
class SessionKernel:
    """A kernel in a library: its name there, the digest of its code, and whether the library is the mutant's own.

    ``undefined_values`` says whether its code is known to use values that were never written.
    """

    name: str
    digest: str
    is_own: bool = False
    undefined_values: bool = False


@dataclass(frozen=True)
class SessionTask:
    """A mutant to run in a session; its program is without kernels and constants.

    ``constants`` are the keys of its constants by number, ``new`` the content of those that the unmutated program does
    not have. ``harmless`` are the changed kernels that are proved to stay inside their buffers. ``library`` is the path
    of the changed kernels, if there are any, and ``marked_library`` that of the kernels in ``marked``, which mark
    conversions that do not fit.
    """

    mutated: MutatedProgram[SessionKernel]
    constants: Mapping[int, Key]
    new: Mapping[Key, np.ndarray]
    harmless: frozenset[str]
    is_rewired: bool
    library: str | None
    marked_library: str | None
    marked: frozenset[str]
    stop: StopRule | None
    progress: Progress

    @property
    def may_do_harm(self) -> bool:
        """Whether a changed kernel may write outside its buffers."""
        return not self.harmless.issuperset(self.mutated.changed)


@dataclass(frozen=True)
class Unmutated:
    """What a session needs of the unmutated program, which the session's process inherits.

    ``library`` and ``memory_library`` are the paths of its kernels and of the kernels on memory; ``constants`` are the
    keys of its constants by number; golden values may take ``limit_bytes`` of memory on the device.
    """

    program: Program
    kernels: Mapping[str, SessionKernel]
    keys: GoldenKeys
    constants: Mapping[int, Key]
    library: str
    memory_library: str
    inputs: np.ndarray
    limit_bytes: int
    is_asynchronous: bool


@dataclass(frozen=True)
class ScoresRequest:
    """Asks for the scores of the unmutated program, kernel by kernel, on all inputs."""


@dataclass(frozen=True)
class Scores:
    """The scores, shape [inputs, classes], and for how many inputs golden values stay on the device."""

    rows: np.ndarray
    stored: int


@dataclass(frozen=True)
class SessionAnswer:
    """What a mutant did, and whether the golden values and weights on the device are what they were before."""

    run: InputsRun
    is_intact: bool


class SessionServer:
    """Answers requests in the process that holds a session; golden values and weights stay on the device."""

    def __init__(self, stage: Stage, session: Session, unmutated: Unmutated) -> None:
        self._session, self._unmutated = session, unmutated
        device = session.open()
        stage(PREPARING)
        self._memory = SessionMemory(device, session.load(Path(unmutated.memory_library)), unmutated.is_asynchronous)
        stage(PREPARING)
        self._library = session.load(Path(unmutated.library))
        self._functions: dict[str, Function] = {
            name: self._library[kernel.name] for name, kernel in unmutated.kernels.items()
        }
        self._constants: dict[Key, Block] = {}
        for number, key in unmutated.constants.items():
            if key not in self._constants:
                self._constants[key] = self._memory.upload(unmutated.program.constants[number].numpy())
                stage(PREPARING)
        self._rows: dict[int, SessionRow] = {}
        self._kept: list[Block] = list(self._constants.values())
        self._sums = self._memory.checksums(self._kept)
        self._room = unmutated.limit_bytes

    def answer(self, stage: Stage, request: ScoresRequest | SessionTask) -> Scores | SessionAnswer:
        """The answer to a request."""
        return self._scores(stage) if isinstance(request, ScoresRequest) else self._run(stage, request)

    def _scores(self, stage: Stage) -> Scores:
        rows, (output, *_) = [], self._unmutated.program.outputs
        golden = self._unmutated.keys
        for position in range(len(self._unmutated.inputs)):
            row = self._row(position)
            stage(PREPARING)
            value = row.value(golden.numbers[golden.keys[output] or b""], self._unmutated.program.types[output])
            rows.append(self._memory.read(value).reshape(-1))
        return Scores(np.stack(rows), len(self._rows))

    def _run(self, stage: Stage, task: SessionTask) -> SessionAnswer:
        if 0 not in self._rows:
            stage(PREPARING)
        first = self._row(0)
        # From here on the mutant is to blame for what happens, also while further golden values are computed.
        stage(RUNNING, task.progress)
        run = self._program_run(task).run(
            lambda position: self._row(position) if position else first,
            len(self._unmutated.inputs),
            task.stop,
            lambda: stage(RUNNING),
        )
        intact = not task.may_do_harm or self._memory.checksums(self._kept) == self._sums
        return SessionAnswer(run, intact)

    def _program_run(self, task: SessionTask) -> ProgramRun[Block]:
        own = self._session.load(Path(task.library)) if task.library else None
        new = {key: self._memory.upload(array) for key, array in task.new.items()}
        constants = {number: new[key] if key in new else self._constants[key] for number, key in task.constants.items()}
        functions = {name: self._function(kernel, own) for name, kernel in task.mutated.kernels.items()}
        library = self._session.load(Path(task.marked_library)) if task.marked_library else {}
        marked = {name: library[name] for name in task.marked}
        return ProgramRun(
            task.mutated,
            self._unmutated.keys,
            self._memory,
            functions.__getitem__,
            marked,
            constants,
            task.harmless,
            task.is_rewired,
        )

    def _function(self, kernel: SessionKernel, own: tvm.runtime.Module | None) -> Function:
        if not kernel.is_own:
            return self._functions[kernel.name]
        assert own is not None
        function: Function = own[kernel.name]
        return function

    def _row(self, position: int) -> SessionRow:
        """An input and its golden values: from the device, or computed now and kept if there is room."""
        if position in self._rows:
            return self._rows[position]
        row = self._computed(self._unmutated.inputs[position])
        blocks = list(row.blocks.values())
        if byte_count(blocks) <= self._room:
            self._room -= byte_count(blocks)
            self._rows[position] = row
            self._kept += blocks
            self._sums += self._memory.checksums(blocks)
        else:
            self._room = 0  # the first inputs are those that are kept
        return row

    def _computed(self, data: np.ndarray) -> SessionRow:
        program = self._unmutated.program
        values = {number: self._constants[key] for number, key in self._unmutated.constants.items()}
        kept = {number: self._memory.upload(data[np.newaxis]) for number in program.inputs}
        values |= kept
        for call in run_calls(program, self._functions, self._memory, values):
            kept.update({number: values[number] for number in call.results})
        return SessionRow(self._memory, program, kept)


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
        plain = {name: SessionKernel(name, digest) for name, digest in prepared.library.digests.items()}
        running = {kernel.digest: kernel for kernel in plain.values()}
        self._builder = MutantBuilder(stages, program, plain, running, self._compile)
        self._unmutated = Unmutated(
            program,
            plain,
            GoldenKeys.of(program, self._builder.keys),
            self._builder.constants.of_program(program),
            prepared.library.path,
            prepared.memory.path,
            inputs,
            prepared.limit_bytes,
            is_asynchronous=device.kind != "cpu",
        )
        self.session = PersistentSession(
            device,
            lambda stage, session: SessionServer(stage, session, self._unmutated).answer,
            RUNNING,
            tasks or RemoteTasks(),
            _headroom(device, prepared.limit_bytes),
        )

    def scores(self, seconds: float) -> Ending:
        """The ending of running the unmutated kernels one by one; its value is :class:`Scores`."""
        return self.session.ask(ScoresRequest(), seconds)

    def evaluate(self, mutant: Mutant, seconds: float, same_code: str, stop: StopRule | None = None) -> Ending:
        """The ending of evaluating the mutant; its value is an Evaluation, or Unsuitable.

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
            ending = self.session.ask(task, seconds, harmful=task.may_do_harm)
        ending = replace(ending, seconds=built.seconds + ending.seconds, note=ending.note or task.progress)
        if isinstance(ending.value, SessionAnswer):
            ending = replace(ending, value=self._finished(run, ending.value))
        self.session.close_if_wanted()
        return ending

    def rest(self) -> None:
        """Gives the session back; the next mutant opens another."""
        self.session.close()

    def _finished(self, run: Evaluation, answer: SessionAnswer) -> Evaluation:
        if not answer.is_intact:
            # The mutant wrote over golden values or weights: no other mutant may run in that session.
            self.session.close()
            answer.run.trace.undefined.add(WRITE)
        run = run.completed(answer.run)
        self._builder.remember(run)
        return run

    def _built(
        self, selections: Selections, stage: Stage, same_code: str, stop: StopRule | None, folder: Path
    ) -> Evaluation | Unsuitable | _Ready:
        built = self._builder.build(selections, stage, same_code, folder)
        if not isinstance(built, Built):
            return built
        program = built.mutated.program
        rewired = self._builder.is_rewired(selections, built.run.applied)
        known = set(self._unmutated.constants.values())
        constants = self._builder.constants.of_program(program)
        if built.marked:
            write_library(built.marked, self.stages.target, folder / _MARKED, self.device.toolchain)
        task = SessionTask(
            replace(built.mutated, program=replace(program, kernels={}, constants={})),
            constants,
            {key: program.constants[number].numpy() for number, key in constants.items() if key not in known},
            built.harmless,
            rewired,
            str(folder / _OWN) if any(kernel.is_own for kernel in built.mutated.kernels.values()) else None,
            str(folder / _MARKED) if built.marked else None,
            frozenset(built.marked),
            stop,
            Progress(built.run.applied, built.run.undefined),
        )
        return _Ready(task, built.run)

    def _compile(self, functions: Mapping[str, PrimFunc], folder: Path, tir_pipeline: str) -> dict[str, SessionKernel]:
        finished = write_library(functions, self.stages.target, folder / _OWN, self.device.toolchain, tir_pipeline)
        return {
            name: SessionKernel(name, digest, is_own=True, undefined_values=name in finished.undefined_values)
            for name, digest in finished.digests.items()
        }


@dataclass(frozen=True)
class _Ready:
    """A mutant that is built, and what it is to become a run with."""

    task: SessionTask
    run: Evaluation


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
    if ending.kind != EndingKind.FINISHED:
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


def _headroom(device: Device, limit_bytes: int) -> int | None:
    """How much memory the child of a session may take; drivers of GPUs reserve more than there is."""
    if device.is_remote:
        return mutant_headroom()
    return mutant_headroom() + limit_bytes if device.is_processor else None

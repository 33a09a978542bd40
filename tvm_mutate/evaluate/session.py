"""Content-addressed evaluation on remote devices and GPUs: golden values stay on the device, in a session."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
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
from tvm_mutate.evaluate.evaluation import (
    COMPILING,
    RUNNING,
    Evaluation,
    InputsRun,
    Progress,
    StopRule,
    Unsuitable,
)
from tvm_mutate.evaluate.memory import WRITE, Function
from tvm_mutate.evaluate.program import GoldenKeys, Key, MutatedProgram, Program, take_program
from tvm_mutate.evaluate.program_run import ProgramRun, run_calls
from tvm_mutate.evaluate.session_memory import Block, SessionMemory, SessionRow, byte_count
from tvm_mutate.kernels import (
    Library,
    build_library,
    memory_kernels,
    missing_compiler,
    user_kernel_store,
    write_library,
)
from tvm_mutate.model import Workload
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Flow, Selections, Stages
from tvm_mutate.samples import Sample, Samples

PREPARING = "prepare"
OTHER_BITS = "the unmutated model gives other bits kernel by kernel than as a whole"
_OWN, _MARKED = "mutant.so", "marked.so"


@dataclass(frozen=True)
class SessionKernel:
    """A kernel in a library: its name, the digest of its code, and whether the library belongs to the mutant.

    ``undefined_values`` says whether the code is known to use values that were never written.
    """

    name: str
    digest: str
    is_own: bool = False
    undefined_values: bool = False


@dataclass(frozen=True)
class SessionTask:
    """A mutant to run in a session; its program has neither kernels nor constants.

    ``constants`` are the keys of the constants by number, ``new`` the content of constants that the unmutated program
    lacks. ``harmless`` are the changed kernels that are proved to stay inside their buffers. ``library`` is the path of
    the changed kernels, None without any, and ``marked_library`` the path of the kernels in ``marked``, which mark
    conversions that do not fit.
    """

    mutated: MutatedProgram
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
    """The unmutated program for a session; the process of the session inherits the object.

    ``library`` and ``memory_library`` are the paths of its kernels and of the kernels on memory, ``constants`` the keys
    of its constants by number. Golden values may take ``limit_bytes`` of memory on the device.
    """

    program: Program
    kernels: Mapping[str, SessionKernel]
    keys: GoldenKeys
    constants: Mapping[int, Key]
    library: str
    memory_library: str
    samples: Samples
    limit_bytes: int
    is_asynchronous: bool


@dataclass(frozen=True)
class GoldenOutputs:
    """The outputs of the unmutated program, and the number of samples whose golden values stay on the device."""

    outputs: Samples
    stored: int


@dataclass(frozen=True)
class SessionAnswer:
    """The run of a mutant, and whether golden values and weights on the device are unchanged."""

    run: InputsRun
    is_intact: bool


class SessionServer:
    """Answers requests in the process of a session; golden values and weights stay on the device."""

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
        self._free_bytes = unmutated.limit_bytes

    def answer(self, stage: Stage, task: SessionTask | None) -> GoldenOutputs | SessionAnswer:
        """The answer to a task; None asks for the outputs of the unmutated program, kernel by kernel."""
        return self._golden_outputs(stage) if task is None else self._run(stage, task)

    def _golden_outputs(self, stage: Stage) -> GoldenOutputs:
        rows: list[Sample] = []
        for position in range(len(self._unmutated.samples)):
            row = self._row(position)
            stage(PREPARING)
            rows.append(tuple(self._memory.read(row.blocks[each]) for each in self._unmutated.program.outputs))
        return GoldenOutputs(Samples.stack(rows), len(self._rows))

    def _run(self, stage: Stage, task: SessionTask) -> SessionAnswer:
        if 0 not in self._rows:
            stage(PREPARING)
        first = self._row(0)
        # From here on the mutant is to blame for errors, even while more golden values are computed.
        stage(RUNNING, task.progress)
        run = self._program_run(task).run(
            lambda position: self._row(position) if position else first,
            len(self._unmutated.samples),
            task.stop,
            lambda: stage(RUNNING),
        )
        intact = not task.may_do_harm or self._memory.checksums(self._kept) == self._sums
        return SessionAnswer(run, intact)

    def _program_run(self, task: SessionTask) -> ProgramRun:
        own = self._session.load(Path(task.library)) if task.library else None
        new = {key: self._memory.upload(array) for key, array in task.new.items()}
        constants = {number: new[key] if key in new else self._constants[key] for number, key in task.constants.items()}
        functions: dict[str, Function] = {
            name: own[kernel.name] if kernel.is_own and own else self._functions[kernel.name]
            for name, kernel in task.mutated.kernels.items()
        }
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

    def _row(self, position: int) -> SessionRow:
        """An input and its golden values: from the device, or computed now and kept if there is enough memory."""
        if position in self._rows:
            return self._rows[position]
        row = self._computed(self._unmutated.samples[position])
        blocks = list(row.blocks.values())
        if byte_count(blocks) <= self._free_bytes:
            self._free_bytes -= byte_count(blocks)
            self._rows[position] = row
            self._kept += blocks
            self._sums += self._memory.checksums(blocks)
        else:
            self._free_bytes = 0  # only the first inputs are kept
        return row

    def _computed(self, sample: Sample) -> SessionRow:
        program = self._unmutated.program
        values = {number: self._constants[key] for number, key in self._unmutated.constants.items()}
        kept = {number: self._memory.upload(array) for number, array in zip(program.inputs, sample, strict=True)}
        values |= kept
        for call in run_calls(program, self._functions, self._memory, values):
            kept.update({number: values[number] for number in call.results})
        kept.update({number: values[number] for number in program.outputs})
        return SessionRow(self._memory, program, kept)


@dataclass(frozen=True)
class PreparedSession:
    """The unmutated program of one model, ready for sessions on one device in any process.

    ``library`` holds its kernels, ``memory`` the kernels on memory. Golden values may take ``limit_bytes`` on the
    device, which is enough for ``stored`` inputs.
    """

    library: Library
    memory: Library
    limit_bytes: int
    stored: int = 0


class SessionEvaluator:
    """Evaluates mutants of one model on one device against golden values on the device.

    Each mutant is built in its own child process; its changed kernels go to a session that serves many mutants.
    Raises NotStraightLineError for a model that is no straight line of kernel calls.
    """

    def __init__(
        self,
        stages: Stages,
        workload: Workload,
        device: Device,
        catalogue: Catalogue,
        prepared: PreparedSession,
        tasks: RemoteTasks | None = None,
    ) -> None:
        self.stages, self.device, self.catalogue = stages, device, catalogue
        program = take_program(stages.at(Slot.KERNEL), workload)
        plain = {name: SessionKernel(name, digest) for name, digest in prepared.library.digests.items()}
        running = {kernel.digest: kernel for kernel in plain.values()}
        self._builder = MutantBuilder(stages, workload, program, plain, running, self._compile)
        self._unmutated = Unmutated(
            program,
            plain,
            GoldenKeys.of(program, self._builder.keys),
            self._builder.constants.of_program(program),
            prepared.library.path,
            prepared.memory.path,
            workload.samples,
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

    def golden_outputs(self, seconds: float) -> Ending:
        """The ending of running the unmutated kernels one by one; its value is :class:`GoldenOutputs`."""
        return self.session.ask(None, seconds)

    def evaluate(self, mutant: Mutant, seconds: float, same_code: str, stop: StopRule | None = None) -> Ending:
        """The ending of evaluating the mutant; its value is an Evaluation, or Unsuitable.

        ``same_code`` is the digest of an evaluation whose code is that of the unmutated model. With ``stop`` only the
        inputs up to the first that satisfies the rule run.
        """
        selections = selections_by_slot(mutant.mutations, self.catalogue)
        self._builder.prepare(selections)
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            built = run_isolated(
                lambda stage: self._built(selections, stage, same_code, stop, Path(folder)), seconds, mutant_headroom()
            )
            if not isinstance(built.value, _Ready):
                return built
            task, evaluation = built.value.task, built.value.evaluation
            ending = self.session.ask(task, seconds, harmful=task.may_do_harm)
        ending = replace(ending, seconds=built.seconds + ending.seconds, note=ending.note or task.progress)
        if isinstance(ending.value, SessionAnswer):
            ending = replace(ending, value=self._finished(evaluation, ending.value))
        self.session.close_if_wanted()
        return ending

    def rest(self) -> None:
        """Gives the session back; the next mutant opens another."""
        self.session.close()

    def _finished(self, evaluation: Evaluation, answer: SessionAnswer) -> Evaluation:
        if not answer.is_intact:
            # The mutant overwrote golden values or weights: no other mutant may run in this session.
            self.session.close()
            answer.run.trace.undefined.add(WRITE)
        evaluation = evaluation.completed(answer.run)
        self._builder.remember(evaluation)
        return evaluation

    def _built(
        self, selections: Selections, stage: Stage, same_code: str, stop: StopRule | None, folder: Path
    ) -> Evaluation | Unsuitable | _Ready:
        built = self._builder.build(selections, stage, same_code, folder)
        if not isinstance(built, Built):
            return built
        program = built.mutated.program
        rewired = self._builder.is_rewired(selections, built.evaluation.applied)
        known = set(self._unmutated.constants.values())
        constants = self._builder.constants.of_program(program)
        if built.marked:
            write_library(built.marked, self.stages.target, folder / _MARKED, self.device.toolchain, self.stages.flow)
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
            Progress(built.evaluation.applied, built.evaluation.undefined),
        )
        return _Ready(task, built.evaluation)

    def _compile(self, functions: Mapping[str, PrimFunc], folder: Path, flow: Flow) -> dict[str, SessionKernel]:
        finished = write_library(functions, self.stages.target, folder / _OWN, self.device.toolchain, flow)
        return {
            name: SessionKernel(name, digest, is_own=True, undefined_values=name in finished.undefined_values)
            for name, digest in finished.digests.items()
        }


@dataclass(frozen=True)
class _Ready:
    """A built mutant: the task for the session, and the evaluation so far."""

    task: SessionTask
    evaluation: Evaluation


def prepare_session(
    stages: Stages,
    workload: Workload,
    outputs: Samples,
    device: Device,
    catalogue: Catalogue,
    folder: Path,
    limit_bytes: int,
    seconds: float,
    tasks: RemoteTasks | None = None,
) -> PreparedSession | str:
    """Prepares sessions on the device, or gives a text that says why they are impossible.

    Compiled kernels go to ``folder``; golden values may take ``limit_bytes`` on the device.
    ``outputs`` are those of the whole unmutated build on the device, which the kernels one by one must reproduce bit by
    bit.
    """
    ending = run_isolated(lambda stage: _compiled(stages, workload, device, folder, limit_bytes, stage), seconds)
    if ending.kind != EndingKind.FINISHED:
        return f"the unmutated model is not run kernel by kernel: {ending.reason}"
    prepared: PreparedSession = ending.value
    evaluator = SessionEvaluator(stages, workload, device, catalogue, prepared, tasks)
    try:
        ending = evaluator.golden_outputs(seconds)
    finally:
        evaluator.session.close()
    found: Any = ending.value
    if not isinstance(found, GoldenOutputs):
        return f"the unmutated model is not run kernel by kernel: {ending.reason}"
    return replace(prepared, stored=found.stored) if found.outputs.has_bits_of(outputs) else OTHER_BITS


def _compiled(
    stages: Stages, workload: Workload, device: Device, folder: Path, limit_bytes: int, stage: Stage
) -> PreparedSession:
    stage(COMPILING)
    tools, store = device.toolchain, user_kernel_store()
    if not tools.is_there:
        raise UsageError(missing_compiler("a library of kernels for a device", tools))
    functions = take_program(stages.at(Slot.KERNEL), workload).called()
    library = build_library(functions, stages.target, folder / "kernels", store, tools, stages.flow)
    stage(COMPILING)
    # In a module of their own: the code of kernels depends on the other functions of the module.
    memory = build_library(memory_kernels(stages.target), stages.target, folder / "memory", store, tools)
    return PreparedSession(library, memory, limit_bytes)


def _headroom(device: Device, limit_bytes: int) -> int | None:
    """The memory limit for the child of a session; GPU drivers reserve more than the machine has."""
    if device.is_remote:
        return mutant_headroom()
    return mutant_headroom() + limit_bytes if device.is_processor else None

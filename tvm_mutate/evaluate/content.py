"""Content-addressed evaluation on this machine: only values whose key is unknown are computed, kernel by kernel."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tvm.tirx import PrimFunc

from tvm_mutate.device import Children, Ending, EndingKind, PersistentChild, Stage, mutant_headroom
from tvm_mutate.evaluate.builder import Built, MayDoHarmError, MutantBuilder, is_structured
from tvm_mutate.evaluate.evaluation import RUNNING, Evaluation, StopRule, Unsuitable
from tvm_mutate.evaluate.host import HostMemory, HostRow, constants_of, run_on_host
from tvm_mutate.evaluate.memory import WRITE
from tvm_mutate.evaluate.preparation import Prepared, merged
from tvm_mutate.evaluate.program import GoldenKeys, take_program
from tvm_mutate.evaluate.program_run import ProgramRun
from tvm_mutate.kernels import Kernel, build_batch
from tvm_mutate.model import Workload
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Flow, Stages

# A fork, and copying the inherited memory that a child touches, take about 20 ms. The memory that a shared child keeps
# is a part of what --memory leaves to each worker.
_MOST_KEPT_BYTES = 256 << 20


@dataclass(frozen=True)
class _Task:
    """A mutant to evaluate in a child; generated files go to ``folder``."""

    mutant: Mutant
    same_code: str
    stop: StopRule | None
    folder: Path
    harmless_only: bool = False


class ChildSharing:
    """Decides which child process evaluates a mutant: mutants proved harmless share one, others get their own.

    ``evaluate`` is called in the child and raises MayDoHarmError for a mutant that must not share. A shared child that
    keeps more than 256 MiB of memory is replaced.
    """

    def __init__(self, evaluate: Callable[[Stage, _Task], Evaluation | Unsuitable]) -> None:
        self._evaluate = evaluate
        self._own_children = Children()
        self._shared_child = PersistentChild(
            lambda _stage: self._evaluate_in_shared_child, mutant_headroom(), most_kept_bytes=_MOST_KEPT_BYTES
        )

    def run(self, task: _Task, seconds: float, may_be_proved: bool) -> Ending:
        """The ending of a task; only a mutant that ``may_be_proved`` harmless is tried in the shared child."""
        if may_be_proved:
            ending = self._shared_child.ask(replace(task, harmless_only=True), seconds)
            if _is_conclusive(ending):
                return ending
            if ending.kind != EndingKind.FINISHED or ending.value is not None:
                self.close()
        return self._own_children.run(lambda stage: self._evaluate(stage, task), seconds, mutant_headroom())

    def close(self) -> None:
        """Ends the shared child; the next harmless mutant starts another."""
        self._shared_child.close()

    def _evaluate_in_shared_child(self, stage: Stage, task: _Task) -> Evaluation | Unsuitable | None:
        """The evaluation of a mutant in the shared child; None if the mutant may do harm.

        Every mutant runs in a new thread: TVM has a pool of temporary buffers for each thread, and the pool of a new
        thread is as empty as the pool of a new child. Memory that a mutant never writes must not hold values of an
        earlier mutant.
        """
        with ThreadPoolExecutor(1) as thread:
            try:
                return thread.submit(self._evaluate, stage, task).result()
            except MayDoHarmError:
                return None


class ContentEvaluator:
    """Evaluates mutants of one model on one CPU device against its golden values, in child processes.

    Unmutated kernels are loaded once, here, and inherited by the children. Raises NotStraightLineError for a model that
    is no straight line of kernel calls.
    """

    def __init__(self, stages: Stages, workload: Workload, catalogue: Catalogue, prepared: Prepared) -> None:
        self.stages, self.samples, self.catalogue = stages, workload.samples, catalogue
        self.program = take_program(stages.at(Slot.KERNEL), workload)
        plain = prepared.plain.load()
        self._running = merged(plain, prepared.fast)
        self._toolchain = prepared.toolchain
        running = {kernel.digest: self._running[name].known_as(kernel.digest) for name, kernel in plain.items()}
        self._builder = MutantBuilder(stages, workload, self.program, plain, running, self._compile)
        self._offsets = prepared.golden.offsets
        self._rows = prepared.golden.rows(self.program, workload.samples)
        self._keys = GoldenKeys.of(self.program, self._builder.keys)
        self._memory = HostMemory()
        _ = self._memory.temporaries  # compiled once, for all children
        self._children = ChildSharing(self._evaluate)
        gc.freeze()  # the garbage collector of a child does not touch, and so copy, inherited memory

    def evaluate(self, mutant: Mutant, seconds: float, same_code: str, stop: StopRule | None = None) -> Ending:
        """The ending of evaluating the mutant; its value is an Evaluation, or Unsuitable.

        ``same_code`` is the digest of an evaluation whose code is that of the unmutated model. With ``stop`` only the
        inputs up to the first that satisfies the rule run.
        """
        selections = selections_by_slot(mutant.mutations, self.catalogue)
        self._builder.prepare(selections)
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            task = _Task(mutant, same_code, stop, Path(folder))
            ending = self._children.run(task, seconds, may_be_proved=is_structured(selections))
        self._remember(ending.value)
        return ending

    def rest(self) -> None:
        """Ends the shared child; the next mutant starts another."""
        self._children.close()

    def _evaluate(self, stage: Stage, task: _Task) -> Evaluation | Unsuitable:
        """Evaluates a mutant in a child: prove, compile, classify (all three by the builder), run."""
        selections = selections_by_slot(task.mutant.mutations, self.catalogue)
        built = self._builder.build(selections, stage, task.same_code, task.folder, task.harmless_only)
        evaluation = self._run(built, stage, task) if isinstance(built, Built) else built
        self._remember(evaluation)
        return evaluation

    def _run(self, built: Built, stage: Stage, task: _Task) -> Evaluation:
        started = time.monotonic()
        kernels = built.mutated.kernels
        # LLVM makes machine code at the first use of a function, which counts as building.
        for name in built.mutated.changed:
            _ = kernels[name].run
        marked = self._compile(built.marked, task.folder / "marked", self.stages.flow) if built.marked else {}
        seconds = built.evaluation.build_seconds + time.monotonic() - started
        run = ProgramRun(
            built.mutated,
            self._keys,
            self._memory,
            lambda name: kernels[name].run,
            {name: kernel.run for name, kernel in marked.items()},
            constants_of(built.mutated.program),
            built.harmless,
            is_rewired=True,  # a search by content is cheap here, whatever the number of the golden value
        )
        found = run.run(self.golden_row, len(self.samples), task.stop, lambda: stage(RUNNING))
        return replace(built.evaluation, build_seconds=seconds).completed(found)

    def golden_row(self, position: int) -> HostRow:
        """The golden values of an input: from the file, or computed again with the unmutated kernels."""
        if position < len(self._rows):
            return self._rows[position]
        sample = self.samples[position]
        return HostRow.of(sample, run_on_host(self.program, self._running, sample, self._memory), self._offsets)

    def _compile(self, functions: Mapping[str, PrimFunc], folder: Path, flow: Flow) -> dict[str, Kernel]:
        return build_batch(functions, self.stages.target, folder, flow, self._toolchain)

    def _remember(self, found: Any) -> None:
        if isinstance(found, Evaluation) and found.outputs is not None:
            self._builder.remember(found)


def _is_conclusive(ending: Ending) -> bool:
    """Whether a mutant would end in the same way in a child of its own.

    It would if the mutant was proved to be harmless and did nothing that contradicts the proof.
    """
    found = ending.value
    if isinstance(found, Evaluation):
        return WRITE not in (found.undefined or ())
    return isinstance(found, Unsuitable) or ending.kind == EndingKind.TIMED_OUT

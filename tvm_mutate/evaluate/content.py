"""Content-addressed evaluation on this machine: only values whose key is unknown are computed, kernel by kernel."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tvm.tirx import PrimFunc

from tvm_mutate.device import Children, Ending, EndingKind, PersistentChild, Stage, mutant_headroom
from tvm_mutate.evaluate.builder import Built, MayDoHarmError, MutantBuilder, is_structured
from tvm_mutate.evaluate.evaluation import RUNNING, Evaluation, Unsuitable
from tvm_mutate.evaluate.host import HostMemory, HostRow, constants_of, run_on_host
from tvm_mutate.evaluate.keys import GoldenKeys
from tvm_mutate.evaluate.preparation import Prepared, merged
from tvm_mutate.evaluate.program import take_program
from tvm_mutate.evaluate.program_run import ProgramRun
from tvm_mutate.evaluate.red_zones import WRITE
from tvm_mutate.evaluate.stopping import StopRule
from tvm_mutate.kernels import Kernel, build_batch
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Stages

# A fork and the inherited memory that a child touches take about 20 ms. What a child keeps is a part of what --memory
# leaves to each worker.
_MOST_KEPT_BYTES = 256 << 20


@dataclass(frozen=True)
class _Task:
    """A mutant to be evaluated in a child; generated files go to ``folder``."""

    mutant: Mutant
    same_code: str
    stop: StopRule | None
    folder: Path
    harmless_only: bool = False


class ContentEvaluator:
    """Evaluates mutants of one model on one CPU device against its golden values, in child processes.

    Mutants whose kernels are proved to be harmless share a child; every other mutant has a child of its own. Unmutated
    kernels are loaded once, here, and inherited by the children. ``inputs`` has shape [inputs, *input shape of the
    model]. Raises NotStraightLineError for a model that is no straight line of kernel calls.
    """

    def __init__(self, stages: Stages, inputs: np.ndarray, catalogue: Catalogue, prepared: Prepared) -> None:
        self.stages, self.inputs, self.catalogue = stages, inputs, catalogue
        self.program = take_program(stages.at(Slot.KERNEL))
        plain = prepared.plain.load()
        self._running = merged(plain, prepared.fast)
        self._toolchain = prepared.toolchain
        running = {kernel.digest: self._running[name].known_as(kernel.digest) for name, kernel in plain.items()}
        self._builder = MutantBuilder(stages, self.program, plain, running, self._compile)
        self._offsets = prepared.golden.offsets
        self._rows = prepared.golden.rows(self.program, inputs)
        self._keys = GoldenKeys.of(self.program, self._builder.keys)
        self._memory = HostMemory()
        _ = self._memory.temporaries  # compiled once, for all children
        self._children = Children()
        self._shared_child = PersistentChild(
            lambda _stage: self._run_in_shared_child, mutant_headroom(), most_kept_bytes=_MOST_KEPT_BYTES
        )
        gc.freeze()  # the children's collector leaves what they inherit alone, and so shared

    def evaluate(self, mutant: Mutant, seconds: float, same_code: str, stop: StopRule | None = None) -> Ending:
        """The ending of evaluating the mutant; its value is an Evaluation, or Unsuitable.

        The digest of a run with the code of the unmutated model is ``same_code``. With ``stop`` the inputs after the
        one that satisfies it are not run.
        """
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            ending = self._evaluate(_Task(mutant, same_code, stop, Path(folder)), seconds)
        self._remember(ending.value)
        return ending

    def rest(self) -> None:
        """Ends the shared child; the next mutant starts another."""
        self._shared_child.close()

    def _evaluate(self, task: _Task, seconds: float) -> Ending:
        selections = selections_by_slot(task.mutant.mutations, self.catalogue)
        if is_structured(selections):
            ending = self._shared_child.ask(replace(task, harmless_only=True), seconds)
            if _is_conclusive(ending):
                return ending
            if ending.kind != EndingKind.FINISHED or ending.value is not None:
                self._shared_child.close()
        return self._run_in_own_child(task, seconds)

    def _run_in_own_child(self, task: _Task, seconds: float) -> Ending:
        self._builder.prepare(selections_by_slot(task.mutant.mutations, self.catalogue))
        return self._children.run(lambda stage: self._run(stage, task), seconds, mutant_headroom())

    def _run_in_shared_child(self, stage: Stage, task: _Task) -> Evaluation | Unsuitable | None:
        """The evaluation of a mutant in the shared child; None if the mutant may do harm.

        The mutant runs in a thread of its own: TVM has a pool of temporary buffers for each thread, and the pool of a
        new thread is as empty as that of a new child. Memory that a mutant never writes must not hold what an earlier
        mutant left there.
        """
        with ThreadPoolExecutor(1) as thread:
            try:
                found = thread.submit(self._run, stage, task).result()
            except MayDoHarmError:
                return None
        self._remember(found)
        return found

    def _remember(self, found: Any) -> None:
        if isinstance(found, Evaluation) and found.outputs is not None:
            self._builder.remember(found)

    def _compile(self, functions: Mapping[str, PrimFunc], folder: Path, tir_pipeline: str) -> dict[str, Kernel]:
        return build_batch(functions, self.stages.target, folder, tir_pipeline, self._toolchain)

    def _run(self, stage: Stage, task: _Task) -> Evaluation | Unsuitable:
        selections = selections_by_slot(task.mutant.mutations, self.catalogue)
        built = self._builder.build(selections, stage, task.same_code, task.folder, task.harmless_only)
        if not isinstance(built, Built):
            return built
        started = time.monotonic()
        kernels = built.mutated.kernels
        # LLVM makes machine code when a function is first asked for: that is a part of building.
        for name in built.mutated.changed:
            _ = kernels[name].run
        marked = self._compile(built.marked, task.folder / "marked", "default") if built.marked else {}
        evaluation = replace(built.run, build_seconds=built.run.build_seconds + time.monotonic() - started)
        run = ProgramRun(
            built.mutated,
            self._keys,
            self._memory,
            lambda name: kernels[name].run,
            {name: kernel.run for name, kernel in marked.items()},
            constants_of(built.mutated.program),
            built.harmless,
            is_rewired=True,  # golden values are found by content, which is cheap here, whatever their number
        )
        return evaluation.completed(run.run(self.golden_row, len(self.inputs), task.stop, lambda: stage(RUNNING)))

    def golden_row(self, position: int) -> HostRow:
        """The golden values of an input: from the file, or computed again with the unmutated kernels."""
        if position < len(self._rows):
            return self._rows[position]
        data = self.inputs[position]
        return HostRow.of(data, run_on_host(self.program, self._running, data, self._memory), self._offsets)


def _is_conclusive(ending: Ending) -> bool:
    """Whether the ending of a mutant in the shared child is the one that it would have in a child of its own.

    The mutant was proved to be harmless, and did nothing that contradicts the proof.
    """
    found = ending.value
    if isinstance(found, Evaluation):
        return WRITE not in (found.undefined or ())
    return isinstance(found, Unsuitable) or ending.kind == EndingKind.TIMED_OUT

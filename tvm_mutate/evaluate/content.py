"""Content-addressed evaluation: only values whose key is not known are calculated, kernel by kernel."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tvm.tirx import PrimFunc

from tvm_mutate.device import Children, Ending, LastingChild, Stage, mutant_headroom
from tvm_mutate.evaluate.builder import Built, MayDoHarmError, MutantBuilder
from tvm_mutate.evaluate.golden import GoldenFile, GoldenRow, run_steps
from tvm_mutate.evaluate.line import Line
from tvm_mutate.evaluate.marking import is_structured
from tvm_mutate.evaluate.mutated import GoldenKeys, Unsuitable, with_course
from tvm_mutate.evaluate.preparation import Prepared, merged
from tvm_mutate.evaluate.rebuild import RUNNING, Run
from tvm_mutate.evaluate.red_zones import WRITE
from tvm_mutate.evaluate.stopping import StopRule
from tvm_mutate.evaluate.switched import SwitchableKernels, Switched, is_conclusive
from tvm_mutate.evaluate.workspace import Workspace
from tvm_mutate.kernels import Kernel, build_batch
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.native import activate_site
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Stages
from tvm_mutate.program import take_program

# A fork and what a child touches of inherited memory take about 20 ms. What a child keeps is a part of what --memory
# leaves to each worker.
_MOST_KEPT_BYTES = 256 << 20


@dataclass(frozen=True)
class _Task:
    """A mutant to be evaluated in a child; what is generated for it goes to ``folder``."""

    mutant: Mutant
    same_code: str
    stop: StopRule | None
    folder: Path
    switched: Switched | None = None
    harmless_only: bool = False


class ContentEvaluator:
    """Evaluates mutants of one model on one CPU device against its golden values; in child processes.

    A mutant whose kernels are proved to be harmless runs in a child that lasts over many; any other one in a child of
    its own, and so does one of which the lasting child had no good news. Unmutated kernels are loaded once, here, and
    inherited by the children. ``inputs`` has shape [inputs, *input shape of the model]. Raises NotStraightLineError for
    a model that is no straight line of kernel calls.
    """

    def __init__(self, stages: Stages, inputs: np.ndarray, catalogue: Catalogue, prepared: Prepared) -> None:
        self.stages, self.inputs, self.catalogue = stages, inputs, catalogue
        self.program = take_program(stages.at(Slot.KERNEL))
        plain = prepared.plain.load()
        self._running = merged(plain, prepared.fast)
        self._toolchain = prepared.toolchain
        self._builder = MutantBuilder(
            stages, self.program, plain, _with_digests_of(plain, self._running), self._compile
        )
        self._golden = GoldenFile(prepared.golden, self.program)
        self._keys = GoldenKeys.of(self.program, self._builder.keys)
        self._workspace = Workspace()
        self._switchable = SwitchableKernels(
            stages,
            self.program,
            catalogue,
            plain,
            lambda: run_steps(self.program, self._running, inputs[0]),
            len(inputs),
        )
        self._children = Children()
        self._lasting = LastingChild(
            lambda _stage: self._in_the_lasting_child, mutant_headroom(), most_kept_bytes=_MOST_KEPT_BYTES
        )
        gc.freeze()  # the children's collector leaves what they inherit alone, and so shared

    def evaluate(
        self,
        mutant: Mutant,
        seconds: float,
        same_code: str,
        stop: StopRule | None = None,
        companions: Sequence[str] = (),
    ) -> Ending:
        """The ending of evaluating the mutant; its value is a Run, or Unsuitable.

        The digest of a run whose code is that of the unmutated model is ``same_code``. With ``stop`` the inputs that
        come after what it takes for the end are not run. With ``companions``, the ids of the mutants of its kernel, one
        switchable kernel may be compiled for all of them.
        """
        rounds_as_written = not self._toolchain.flags
        switched = self._switchable.find(mutant, companions) if companions and rounds_as_written else None
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            task = _Task(mutant, same_code, stop, Path(folder))
            ending = None
            if switched is not None:
                ending = self._in_a_child_of_its_own(replace(task, switched=switched), seconds)
            if ending is None or not is_conclusive(ending):
                ending = self._evaluate(task, seconds)
        self._remember(ending.value)
        return ending

    def rest(self) -> None:
        """Ends the child that lasts; the next mutant gets another."""
        self._lasting.close()

    def _evaluate(self, task: _Task, seconds: float) -> Ending:
        selections = selections_by_slot(task.mutant.mutations, self.catalogue)
        if is_structured(selections):
            ending = self._lasting.ask(replace(task, harmless_only=True), seconds)
            if _is_good_news(ending):
                return ending
            if ending.kind != "finished" or ending.value is not None:
                self._lasting.close()
        return self._in_a_child_of_its_own(task, seconds)

    def _in_a_child_of_its_own(self, task: _Task, seconds: float) -> Ending:
        self._builder.prepare(selections_by_slot(task.mutant.mutations, self.catalogue))
        return self._children.run(lambda stage: self._run(stage, task), seconds, mutant_headroom())

    def _in_the_lasting_child(self, stage: Stage, task: _Task) -> Run | Unsuitable | None:
        """What becomes of a mutant there; None of one that may do harm.

        It runs in a thread of its own: TVM has a pool of temporary buffers for each thread, as empty then as in
        a new child. What is never written there must not be what the mutant before has left.
        """
        with ThreadPoolExecutor(1) as thread:
            try:
                found = thread.submit(self._run, stage, task).result()
            except MayDoHarmError:
                return None
        self._remember(found)
        return found

    def _remember(self, found: Any) -> None:
        if isinstance(found, Run) and found.outputs is not None:
            self._builder.remember(found)

    def _compile(self, functions: Mapping[str, PrimFunc], folder: Path, tir_pipeline: str) -> dict[str, Kernel]:
        return build_batch(functions, self.stages.target, folder, tir_pipeline, self._toolchain)

    def _run(self, stage: Stage, task: _Task) -> Run | Unsuitable:
        selections = selections_by_slot(task.mutant.mutations, self.catalogue)
        switched = task.switched
        if switched is not None:
            activate_site(switched.number)
        compiled = {switched.name: switched.kernel} if switched is not None else None
        built = self._builder.build(selections, stage, task.same_code, task.folder, compiled, task.harmless_only)
        if not isinstance(built, Built):
            return built
        started = time.monotonic()
        for name in built.mutated.changed:
            # Machine code is made only now that it is needed, and is part of building.
            _ = built.mutated.kernels[name].run
        marked = self._compile(built.marked, task.folder / "marked", "default") if built.marked else {}
        seconds = built.run.build_seconds + time.monotonic() - started
        run = replace(built.run, build_seconds=seconds, switched=switched is not None)
        # What is proved of a mutant is not proved of a kernel that holds many of them.
        harmless = built.harmless if switched is None else frozenset()
        line = Line(built.mutated, self._keys, self._workspace, marked, harmless)
        return self._run_inputs(line, run, task.stop, stage)

    def _run_inputs(self, line: Line, run: Run, stop: StopRule | None, stage: Stage) -> Run:
        rows: list[np.ndarray] = []
        seconds: list[float] = []
        for position, data in enumerate(self.inputs):
            started = time.perf_counter()
            rows.append(line.output(data, self.golden_row(position), first=position == 0))
            seconds.append(time.perf_counter() - started)
            stage(RUNNING)  # a sign of life
            if stop is not None and stop.is_settled(rows):
                break
        return with_course(run, rows, seconds, line.trace)

    def golden_row(self, position: int) -> GoldenRow:
        """The golden values of an input: those on file, or calculated again with the unmutated kernels."""
        if position < len(self._golden.rows):
            return self._golden.rows[position]
        values = run_steps(self.program, self._running, self.inputs[position])
        return GoldenRow.of(values, self._golden.golden.offsets)


def _is_good_news(ending: Ending) -> bool:
    """Whether what became of a mutant in the child that lasts owes nothing to those that were there before it.

    What it may do must have been proved to be harmless, and must have turned out so.
    """
    found = ending.value
    if isinstance(found, Run):
        return WRITE not in (found.undefined or ())
    return isinstance(found, Unsuitable) or ending.kind == "timed out"


def _with_digests_of(plain: Mapping[str, Kernel], running: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """The kernels to run by the digests of the plain ones, which are what keys are made of."""
    return {kernel.digest: running[name].known_as(kernel.digest) for name, kernel in plain.items()}

"""Content-addressed evaluation: only values whose key is not known are calculated, kernel by kernel."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tvm.tirx import PrimFunc

from tvm_mutate.build import Kernel, build_batch
from tvm_mutate.device import Children, Ending, Stage, mutant_headroom
from tvm_mutate.evaluate.builder import Built, MutantBuilder
from tvm_mutate.evaluate.golden import GoldenFile, GoldenRow, run_steps
from tvm_mutate.evaluate.line import Line
from tvm_mutate.evaluate.mutated import GoldenKeys, Unsuitable, with_course
from tvm_mutate.evaluate.preparation import Prepared, merged
from tvm_mutate.evaluate.rebuild import RUNNING, Run
from tvm_mutate.evaluate.stopping import StopRule
from tvm_mutate.evaluate.switched import SwitchableKernels, Switched, is_conclusive
from tvm_mutate.evaluate.workspace import Workspace
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.native import activate_site
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Selections, Stages
from tvm_mutate.program import take_program


class ContentEvaluator:
    """Evaluates mutants of one model on one CPU device against its golden values; each in a child process.

    Unmutated kernels are loaded once, here, and inherited by the children. ``inputs`` has shape [inputs, *input
    shape of the model]. Raises NotStraightLineError for a model that is no straight line of kernel calls.
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
        keys = self._builder.keys
        # Only what kernels write: a view shares its argument's key, and has no bytes of its own.
        self._keys = GoldenKeys(keys, {keys[number] or b"": number for number in prepared.golden.offsets})
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
        ending = None
        if switched is not None:
            ending = self._evaluate(mutant, seconds, same_code, stop, switched)
        if ending is None or not is_conclusive(ending):
            ending = self._evaluate(mutant, seconds, same_code, stop)
        if isinstance(ending.value, Run) and ending.value.outputs is not None:
            self._builder.remember(ending.value)
        return ending

    def _evaluate(
        self,
        mutant: Mutant,
        seconds: float,
        same_code: str,
        stop: StopRule | None,
        switched: Switched | None = None,
    ) -> Ending:
        selections = selections_by_slot(mutant.mutations, self.catalogue)
        self._builder.prepare(selections)
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            return self._children.run(
                lambda stage: self._run(selections, stage, same_code, stop, Path(folder), switched),
                seconds,
                mutant_headroom(),
            )

    def _compile(self, functions: Mapping[str, PrimFunc], folder: Path, tir_pipeline: str) -> dict[str, Kernel]:
        return build_batch(functions, self.stages.target, folder, tir_pipeline, self._toolchain)

    def _run(
        self,
        selections: Selections,
        stage: Stage,
        same_code: str,
        stop: StopRule | None,
        folder: Path,
        switched: Switched | None,
    ) -> Run | Unsuitable:
        if switched is not None:
            activate_site(switched.number)
        compiled = {switched.name: switched.kernel} if switched is not None else None
        built = self._builder.build(selections, stage, same_code, folder, compiled)
        if not isinstance(built, Built):
            return built
        started = time.monotonic()
        for name in built.mutated.changed:
            # Machine code is made only now that it is needed, and is part of building.
            _ = built.mutated.kernels[name].run
        marked = self._compile(built.marked, folder / "marked", "default") if built.marked else {}
        seconds = built.run.build_seconds + time.monotonic() - started
        run = replace(built.run, build_seconds=seconds, switched=switched is not None)
        return self._run_inputs(Line(built.mutated, self._keys, self._workspace, marked), run, stop, stage)

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


def _with_digests_of(plain: Mapping[str, Kernel], running: Mapping[str, Kernel]) -> dict[str, Kernel]:
    """The kernels to run by the digests of the plain ones, which are what keys are made of."""
    return {kernel.digest: running[name].known_as(kernel.digest) for name, kernel in plain.items()}

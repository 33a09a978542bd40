"""Evaluates a mutant by rebuilding and rerunning the whole model in a child process: the ground truth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tvm

from tvm_mutate.device import Device, Ending, RemoteSession, RemoteTasks, Stage, mutant_headroom, run_isolated
from tvm_mutate.evaluate.builder import proof_of
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING, Evaluation, Progress, StopRule
from tvm_mutate.kernels import CompiledModel, first_output
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Selections, Stages, mutated_tir_pipeline


class RebuildEvaluator:
    """Builds and runs a model, mutated or not, for one device; every build in its own child process.

    ``inputs`` has shape [inputs, *input shape of the model]. The model is lowered once, here, and shared with the
    children. ``remote`` runs the tasks for a remote device.
    """

    def __init__(
        self,
        stages: Stages,
        inputs: np.ndarray,
        device: Device,
        catalogue: Catalogue,
        remote: RemoteTasks | None = None,
    ) -> None:
        self.stages = stages
        self.inputs = inputs
        self.device = device
        self.catalogue = catalogue
        self._remote = remote or RemoteTasks()
        stages.at(Slot.KERNEL)

    def evaluate(
        self, mutant: Mutant | None, seconds: float, same_code: str | None = None, stop: StopRule | None = None
    ) -> Ending:
        """The ending of building and running the mutant (None: the unmutated model) within the time limit.

        The ending's value is a :class:`Evaluation`, its note the :class:`Progress`. Code whose digest is ``same_code``
        is not run. With ``stop`` only the inputs up to the first that satisfies the rule run.
        """
        selections = selections_by_slot(mutant.mutations, self.catalogue) if mutant else {}
        device = self.device
        # Drivers of other devices reserve more address space than there is memory.
        headroom = mutant_headroom() if mutant and (device.is_processor or device.is_remote) else None
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:

            def task(stage: Stage, session: RemoteSession | None = None) -> Evaluation:
                return self._run(selections, stage, Path(folder), same_code, stop, session)

            if device.is_remote:
                return self._remote.run(device, task, RUNNING, seconds, headroom)
            return run_isolated(task, seconds, headroom)

    def _run(
        self,
        selections: Selections,
        stage: Stage,
        folder: Path,
        same_code: str | None,
        stop: StopRule | None,
        session: RemoteSession | None,
    ) -> Evaluation:
        stage(COMPILING)
        started = time.monotonic()
        applied = self.stages.pipeline_faults(selections)
        stage(COMPILING, Progress(tuple(applied)))
        lowered = self.stages.runnable(self.stages.mutated(selections, applied), selections)
        stage(COMPILING, Progress(tuple(applied)))
        proof = proof_of(self.stages, selections, applied)
        with mutated_tir_pipeline(selections, self.stages.target, applied.extend) as tir_pipeline:
            tools, target = self.device.toolchain, self.stages.target
            model = CompiledModel(lowered, target, folder, tir_pipeline, tools, for_export=session is not None)
        digest = model.digest
        if digest == same_code:
            stage(RUNNING, Progress(tuple(applied)))
            return Evaluation(tuple(applied), digest, time.monotonic() - started, proof=proof)
        machine, runtime, built = self._loaded(
            model, session, lambda: stage(RUNNING, Progress(tuple(applied))), started
        )
        outputs, seconds = run_all(machine, self.inputs, runtime, stop, lambda: stage(RUNNING))
        again = None if selections else run_all(machine, self.inputs, runtime, None, lambda: stage(RUNNING))[0]
        return Evaluation(tuple(applied), digest, built, outputs, tuple(seconds), proof=proof, repeated=again)

    def _loaded(
        self, model: CompiledModel, session: RemoteSession | None, running: Callable[[], object], started: float
    ) -> tuple[tvm.relax.VirtualMachine, tvm.runtime.Device, float]:
        """A virtual machine with the model, its device, and the seconds of building since ``started``.

        ``running`` is called before code of the model can run. Waiting for a remote device does not count as building.
        """
        if session is None:
            running()
            runtime = self.device.runtime()
            return model.load(runtime), runtime, time.monotonic() - started
        library = model.export()
        built = time.monotonic() - started
        runtime = session.open()
        running()
        return tvm.relax.VirtualMachine(session.load(library), runtime), runtime, built


def run_all(
    machine: tvm.relax.VirtualMachine,
    inputs: Sequence[np.ndarray] | np.ndarray,
    device: tvm.runtime.Device,
    stop: StopRule | None = None,
    sign_of_life: Callable[[], object] = lambda: None,
) -> tuple[np.ndarray, list[float]]:
    """The scores, shape [inputs, classes], and the seconds of the inputs up to the first that satisfies ``stop``.

    ``sign_of_life`` is called after each input.
    """
    rows: list[np.ndarray] = []
    seconds: list[float] = []
    for data in inputs:
        tensor = tvm.runtime.tensor(data[np.newaxis], device)
        started = time.perf_counter()
        row = first_output(machine["main"](tensor))
        seconds.append(time.perf_counter() - started)
        rows.append(row)
        sign_of_life()
        if stop is not None and stop.is_settled(rows):
            break
    return np.stack(rows), seconds

"""Evaluates a mutant by rebuilding and rerunning the whole model in a child process: the ground truth."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tvm

from tvm_mutate.device import Device, Ending, RemoteSession, RemoteTasks, Stage, mutant_headroom, run_isolated
from tvm_mutate.evaluate.builder import proof_of
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING, Evaluation, Progress, StopRule
from tvm_mutate.kernels import CompiledModel
from tvm_mutate.model import Workload
from tvm_mutate.model.scenario import Argument, ResolvedScenario
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Selections, Stages
from tvm_mutate.samples import Sample, Samples


class RebuildEvaluator:
    """Builds and runs a model, mutated or not, for one device; every build in its own child process.

    The model is lowered once, here, and shared with the children. ``remote`` runs the tasks for a remote device.
    """

    def __init__(
        self,
        stages: Stages,
        workload: Workload,
        device: Device,
        catalogue: Catalogue,
        remote: RemoteTasks | None = None,
    ) -> None:
        self.stages = stages
        self.workload = workload
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
        lowered = self.stages.runnable(self.stages.mutated(selections, applied), selections, applied)
        stage(COMPILING, Progress(tuple(applied)))
        proof = proof_of(self.stages, selections, applied)
        with self.stages.mutated_flow(selections, applied.extend) as flow:
            tools, target = self.device.toolchain, self.stages.target
            model = CompiledModel(lowered, target, folder, flow, tools, for_export=session is not None)
        digest = model.digest
        if digest == same_code:
            stage(RUNNING, Progress(tuple(applied)))
            return Evaluation(tuple(applied), digest, time.monotonic() - started, proof=proof)
        machine, runtime, built = self._loaded(
            model, session, lambda: stage(RUNNING, Progress(tuple(applied))), started
        )
        outputs, seconds = run_all(machine, self.workload, runtime, stop, lambda: stage(RUNNING))
        again = None if selections else run_all(machine, self.workload, runtime, None, lambda: stage(RUNNING))[0]
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
    workload: Workload,
    device: tvm.runtime.Device,
    stop: StopRule | None = None,
    sign_of_life: Callable[[], object] = lambda: None,
) -> tuple[Samples, list[float]]:
    """The outputs and the seconds of the samples up to the first that satisfies ``stop``.

    ``sign_of_life`` is called after each sample.
    """
    outputs: list[Sample] = []
    seconds: list[float] = []
    for position in range(len(workload)):
        tensors = [tvm.runtime.tensor(array, device) for array in workload.samples[position]]
        started = time.perf_counter()
        outputs.append(_run_scenario(machine, workload.scenario, tensors))
        seconds.append(time.perf_counter() - started)
        sign_of_life()
        if stop is not None and stop.is_settled(outputs):
            break
    return Samples.stack(outputs), seconds


def _run_scenario(machine: tvm.relax.VirtualMachine, scenario: ResolvedScenario, inputs: Sequence[Any]) -> Sample:
    results: list[list[Any]] = []

    def value(source: Argument) -> Any:
        if isinstance(source, tuple):
            return tuple(map(value, source))
        return inputs[source.index] if source.call is None else results[source.call][source.index]

    for call in scenario.calls:
        results.append(list(_flat(machine[call.function](*map(value, call.arguments)))))
    return tuple(np.ascontiguousarray(value(source).numpy()) for source in scenario.outputs)


def _flat(result: Any) -> Iterator[Any]:
    """The tensors of a result, with tuples replaced by their fields."""
    if isinstance(result, tvm.ir.Array | tuple | list):
        for each in result:
            yield from _flat(each)
    else:
        yield result

"""A worker: a process that holds lowered models and has mutants evaluated in children of its own."""

from __future__ import annotations

import signal
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from tvm_mutate.campaign.evaluators import WorkerEvaluators, WorkerSessions
from tvm_mutate.campaign.recent import Recent
from tvm_mutate.campaign.record import Baseline, mutant_row
from tvm_mutate.campaign.requests import BaselineRequest, MutantAnswer, MutantRequest, Request, UndefinedRequest
from tvm_mutate.campaign.sending import RequestReader
from tvm_mutate.campaign.subject import Pair, Subject
from tvm_mutate.campaign.undefined import undefined_row
from tvm_mutate.device import Device, DeviceLostError, Ending, EndingKind, RemoteTasks, die_with_parent
from tvm_mutate.errors import CampaignInterruptedError, MutateError, UntrustedError
from tvm_mutate.evaluate import (
    ContentEvaluator,
    Evaluation,
    Examiner,
    Preparation,
    Prepared,
    PreparedSession,
    RebuildEvaluator,
    SessionEvaluator,
    SessionPreparation,
    StopRule,
    Unsuitable,
    prepare,
    prepare_session,
)
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Category, Mutant
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import Oracle, parse_oracle, top_labels
from tvm_mutate.pipeline import Fused, LoweringCache, Stages
from tvm_mutate.results import EvaluationPath, UndefinedRow

_KEPT_LOWERED = 4
# A worker with nothing to do for so long gives back the devices that it holds.
_IDLE_SECONDS = 1.0


class Worker:
    """Answers requests about subjects and devices, keeping the last few lowered models."""

    def __init__(self) -> None:
        self.catalogue = load_catalogue()
        self._lowering_cache = LoweringCache()
        self._remote = RemoteTasks()
        self._models: Recent[Fused] = Recent(_KEPT_LOWERED)
        self._contents: WorkerEvaluators[ContentEvaluator] = WorkerEvaluators(_KEPT_LOWERED)
        self._sessions = WorkerSessions(_KEPT_LOWERED)
        self._examiners: Recent[Examiner] = Recent(_KEPT_LOWERED)
        self._stages: Recent[Stages] = Recent(_KEPT_LOWERED)

    def build_baseline(self, request: BaselineRequest) -> Baseline:
        """The unmutated build, run twice; raises UntrustedError if the build fails or gives NaN."""
        evaluator = self._evaluator(request.subject, request.device)
        run = _golden(evaluator.evaluate(None, request.seconds), request)
        first = run.outputs
        assert first is not None and run.repeated is not None
        path = Path(request.folder) / f"golden-{request.subject.name}-{request.device.name}.npy"
        np.save(path, first)
        labels = top_labels(first)
        right = request.subject.labels
        noise = _largest_difference(first, run.repeated)
        same_code = True  # kernels that were built again, one by one, gave the same bits
        prepared, reason = self._prepared(request, first)
        if prepared is None:
            again = _golden(evaluator.evaluate(None, request.seconds), request)
            assert again.outputs is not None
            noise = max(noise, _largest_difference(first, again.outputs))
            same_code = again.digest == run.digest
        return Baseline(
            Pair(request.subject.name, request.device.name),
            run.digest,
            str(path),
            tuple(int(label) for label in labels),
            None if right is None else float(np.mean(labels == np.asarray(right))),
            run.build_seconds,
            run.run_seconds,
            noise,
            same_code,
            prepared,
            reason,
        )

    def rest(self) -> None:
        """Gives back what others may need while there is nothing to do."""
        self._sessions.rest()
        self._contents.rest()

    def _prepared(self, request: BaselineRequest, outputs: np.ndarray) -> tuple[Prepared | PreparedSession | None, str]:
        """What evaluation by content needs, or why there is none; fast kernels are not worth a failure."""
        if not request.golden_bytes:
            return None, ""
        stages, inputs = self.stages(request.subject, request.device), self._inputs(request.subject)
        if not request.device.is_processor:
            self._sessions.rest()
            wanted_there = SessionPreparation(
                Path(request.folder) / f"session-{request.subject.name}-{request.device.name}", request.golden_bytes
            )
            found = prepare_session(
                stages, inputs, outputs, request.device, self.catalogue, wanted_there, request.seconds, self._remote
            )
            return (None, found) if isinstance(found, str) else (found, "")
        path = Path(request.folder) / f"values-{request.subject.name}-{request.device.name}.bin"
        reason = ""
        for fast in (True, False) if request.fast_kernels else (False,):
            wanted = Preparation(path, request.golden_bytes, request.mutants, fast, request.device.toolchain)
            ending = prepare(stages, inputs, outputs, wanted, request.seconds)
            if isinstance(ending.value, Prepared):
                return ending.value, ""
            reason = ending.value or f"the unmutated model is not run kernel by kernel: {ending.reason}"
        return None, reason

    def judge(self, request: MutantRequest) -> MutantAnswer:
        """The row of a mutant, with its scores if the request asks for them."""
        mutant = self.catalogue.parse(request.mutant)
        labels = request.subject.labels
        right = None if labels is None else np.asarray(labels)
        oracle = parse_oracle(request.oracle)
        ending, path, reason = self._evaluate(mutant, request, _stop_rule(request, oracle))
        row = mutant_row(mutant, request.baseline, ending, right, oracle, self.catalogue, path, reason)
        return MutantAnswer(
            row, ending.value.outputs if request.scores and isinstance(ending.value, Evaluation) else None
        )

    def examine(self, request: UndefinedRequest) -> UndefinedRow:
        """The row of a mutant's accesses outside its buffers."""

        def make() -> Examiner:
            stages = self.stages(request.subject, request.device)
            return Examiner(stages, self._inputs(request.subject), self.catalogue)

        examiner = self._examiners.of((request.subject.name, request.device.target), make)
        return undefined_row(request, examiner.examine(self.catalogue.parse(request.mutant), request.seconds))

    def _evaluate(
        self, mutant: Mutant, request: MutantRequest, stop: StopRule | None
    ) -> tuple[Ending, EvaluationPath, str]:
        """The ending of the mutant, by content where that can be, else by rebuild and why."""
        baseline, reason = request.baseline, request.baseline.golden_reason
        if baseline.golden is not None:
            if isinstance(baseline.golden, PreparedSession):
                there = self._session_evaluator(request, baseline.golden)
                ending = there.evaluate(mutant, request.seconds, baseline.digest, stop)
            else:
                content = self._content_evaluator(request, baseline.golden)
                ending = content.evaluate(mutant, request.seconds, baseline.digest, stop)
            if not isinstance(ending.value, Unsuitable):
                return ending, EvaluationPath.CONTENT, ""
            reason = ending.value.reason
        forced = all(self.catalogue[each.operator].category is Category.CANARY for each in mutant.mutations)
        rebuilding = self._evaluator(request.subject, request.device)
        self._sessions.make_way(request.device)
        ending = rebuilding.evaluate(mutant, request.seconds, None if forced else baseline.digest, stop)
        return ending, EvaluationPath.REBUILD, reason

    def _content_evaluator(self, request: MutantRequest, prepared: Prepared) -> ContentEvaluator:
        def make() -> ContentEvaluator:
            stages = self.stages(request.subject, request.device)
            return ContentEvaluator(stages, self._inputs(request.subject), self.catalogue, prepared)

        return self._contents.of((request.subject.name, request.device.name), make)

    def _session_evaluator(self, request: MutantRequest, prepared: PreparedSession) -> SessionEvaluator:
        def make() -> SessionEvaluator:
            stages, inputs = self.stages(request.subject, request.device), self._inputs(request.subject)
            return SessionEvaluator(stages, inputs, request.device, self.catalogue, prepared, self._remote)

        return self._sessions.of((request.subject.name, request.device.name), make)

    def _evaluator(self, subject: Subject, device: Device) -> RebuildEvaluator:
        return RebuildEvaluator(
            self.stages(subject, device), self._inputs(subject), device, self.catalogue, self._remote
        )

    @staticmethod
    def _inputs(subject: Subject) -> np.ndarray:
        return np.load(subject.inputs, mmap_mode="r")

    def stages(self, subject: Subject, device: Device) -> Stages:
        """The lowered model of a subject for a device."""
        key = (subject.name, device.target)
        return self._stages.of(key, lambda: Stages(self._fused(subject), parse_target(device.target)))

    def _fused(self, subject: Subject) -> Fused:
        def load() -> Fused:
            model = load_model(subject.reference, shape=dict(subject.shape) or None)
            return Fused(model.module, self._lowering_cache)

        return self._models.of(subject.name, load)


def _golden(ending: Ending, request: BaselineRequest) -> Evaluation:
    if ending.kind == EndingKind.LOST:
        raise DeviceLostError(ending.reason)
    if ending.kind != EndingKind.FINISHED:
        raise UntrustedError(
            f"the unmutated {request.subject.name} does not work on {request.device.name}: it {ending.kind} "
            f"in the stage {ending.stage!r} ({ending.reason}); mend that first"
        )
    run: Evaluation = ending.value
    if run.outputs is not None and not np.isfinite(run.outputs).all():
        raise UntrustedError(
            f"the unmutated {request.subject.name} gives NaN or infinite scores on {request.device.name}; "
            "verdicts against that mean nothing: check the model's preprocessing"
        )
    return run


def _stop_rule(request: MutantRequest, oracle: Oracle) -> StopRule | None:
    if not request.until and request.precision is None:
        return None
    golden = np.load(request.baseline.outputs)
    return StopRule(golden, oracle if request.until == "killed" else None, request.precision)


def _largest_difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.max(np.abs(first.astype("float64") - second.astype("float64")), initial=0.0))


def main(descriptor: int) -> None:
    """Serves requests from the connection with this file descriptor until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the campaign's business
    die_with_parent()
    connection = Connection(descriptor)
    worker, reader = Worker(), RequestReader()
    while True:
        if not connection.poll(_IDLE_SECONDS):
            worker.rest()
        try:
            request: Request = reader.read(connection.recv_bytes())
        except EOFError:
            return
        try:
            answer: tuple[str, Any] = ("answer", request.answer(worker))
        except MutateError as error:
            answer = ("refusal", error)
        except OSError as error:  # a full disk, say: the campaign can go on later
            answer = ("refusal", CampaignInterruptedError(f"a worker cannot go on: {error}"))
        except Exception as error:  # an error of ours: it ends the campaign with its place, not the worker in silence
            place = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__}: {error} (at {Path(place.filename).name}:{place.lineno}) in a worker"
            answer = ("refusal", MutateError(told))
        connection.send(answer)

"""The requests of a campaign, and the worker process that answers them with lowered models and child processes."""

from __future__ import annotations

import os
import signal
import traceback
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from tvm_mutate.campaign.mutant_rows import Baseline, mutant_row
from tvm_mutate.campaign.plan import Pair, Specification, Subject
from tvm_mutate.campaign.pool import RequestReader
from tvm_mutate.campaign.since import Since
from tvm_mutate.campaign.survey import Survey, survey
from tvm_mutate.device import Device, DeviceLostError, Ending, EndingKind, RemoteTasks, demand_for, die_with_parent
from tvm_mutate.errors import (
    TRACEBACK_VARIABLE,
    CampaignInterruptedError,
    MutateError,
    OracleError,
    UntrustedError,
    UsageError,
)
from tvm_mutate.evaluate import (
    ContentEvaluator,
    Evaluation,
    Examiner,
    Preparation,
    Prepared,
    PreparedSession,
    RebuildEvaluator,
    SessionEvaluator,
    StopRule,
    Unsuitable,
    prepare,
    prepare_session,
)
from tvm_mutate.kernels import CompileError, parse_target
from tvm_mutate.model import Model, Workload
from tvm_mutate.mutant import Category, Mutant
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import Oracle, as_float64, classifier_scores, compare, largest_differences, parse_oracle
from tvm_mutate.pipeline import Fused, LoweringCache, Stages
from tvm_mutate.results import AccessRow, EvaluationPath, MutantRow, UndefinedRow
from tvm_mutate.samples import Samples

_KEPT = 4
_IDLE_SECONDS = 1.0  # a worker that is idle for longer releases its devices
Value = TypeVar("Value")


@dataclass(frozen=True)
class Request:
    """A question about a subject on a device."""

    subject: Subject
    device: Device

    @property
    def pair(self) -> Pair:
        """The names of the subject and the device."""
        return Pair(self.subject.name, self.device.name)

    @property
    def group(self) -> str:
        """The kernel that the request is about, or an empty string; requests of one group share compiled code."""
        return ""

    def __str__(self) -> str:
        return f"{self.subject.name} {self.device.name}"

    def answer(self, worker: Worker) -> Any:
        """The answer, computed by a worker; raises MutateError for a problem that the user can solve."""
        raise NotImplementedError


@dataclass(frozen=True)
class SurveyRequest(Request):
    """Asks which mutants a subject has on a device; with ``since`` only those in functions that differ."""

    specification: Specification
    since: Since | None = None

    def answer(self, worker: Worker) -> Survey:
        """The survey of the lowered model."""
        found = survey(worker.stages(self.subject, self.device), self.specification, worker.catalogue)
        return self.since.changed(found, self.subject, self.device, worker.catalogue) if self.since else found


@dataclass(frozen=True)
class BaselineRequest(Request):
    """Asks for the unmutated build, run twice; golden outputs go into ``folder``.

    ``golden_bytes`` above 0 also stores the values of every step, for as many inputs as fit into that many bytes.
    ``fast_kernels`` allows faster schedules with the same bits for kernels that run one by one, if they save time for
    that many ``mutants``.
    """

    folder: str
    seconds: float
    golden_bytes: int = 0
    fast_kernels: bool = True
    mutants: int = 0

    def answer(self, worker: Worker) -> Baseline:
        """The baseline of the pair."""
        return worker.build_baseline(self)


@dataclass(frozen=True)
class _OneMutantRequest(Request):
    """A question about one mutant, named by its id."""

    mutant: str

    @property
    def group(self) -> str:
        """The kernel that the mutant changes first."""
        return Mutant.parse(self.mutant).mutations[0].function

    def __str__(self) -> str:
        return f"{super().__str__()} {self.mutant}"


@dataclass(frozen=True)
class MutantRequest(_OneMutantRequest):
    """Asks for the row of one mutant.

    ``until`` and ``precision`` say when the run over the inputs may stop early, as in the specification. With
    ``outputs`` the answer has the mutant's outputs, too.
    """

    baseline: Baseline
    seconds: float
    until: str = ""
    precision: float | None = None
    outputs: bool = False

    def answer(self, worker: Worker) -> Any:
        """The MutantAnswer; a study that asks something else about a mutant overrides this method."""
        return worker.judge(self)


@dataclass(frozen=True)
class MutantAnswer:
    """The row of a mutant, and the outputs if the request wants them and the code differs."""

    row: MutantRow
    outputs: Samples | None = None


@dataclass(frozen=True)
class UndefinedRequest(_OneMutantRequest):
    """Asks whether a mutant accesses memory outside its buffers; each way of looking may take ``seconds``."""

    seconds: float = 120.0

    def answer(self, worker: Worker) -> UndefinedRow:
        """The row of the accesses."""
        examiner = worker.examiner(self.subject, self.device)
        found = examiner.examine(worker.catalogue.parse(self.mutant), self.seconds)
        return UndefinedRow(
            id=self.mutant,
            model=self.subject.name,
            target=self.device.target,
            behaviour=found.behaviour,
            kernels=tuple(sorted({each.kernel for each in found.accesses})),
            accesses=tuple(AccessRow(**asdict(each)) for each in found.accesses),
            indices=found.indices,
            red_zones=found.red_zones,
            sanitizer=found.sanitizer,
        )


class LastUsed(Generic[Value]):
    """The last few used values by key; a missing value is made."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._values: OrderedDict[Hashable, Value] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made if it is missing."""
        if key not in self._values:
            self._values[key] = make()
            while len(self._values) > self._kept:
                self._values.popitem(last=False)
        self._values.move_to_end(key)
        return self._values[key]

    def values(self) -> list[Value]:
        """The kept values."""
        return list(self._values.values())


class Evaluators(LastUsed[Any]):
    """The last few used evaluators; only the last one holds a child process or a device session."""

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The evaluator of a key; all others release what they hold."""
        for other, evaluator in self._values.items():
            if other != key:
                evaluator.rest()
        return super().get(key, make)

    def rest(self) -> None:
        """Makes all evaluators release what they hold."""
        for evaluator in self._values.values():
            evaluator.rest()


class Worker:
    """Answers requests about subjects and devices; keeps the last few lowered models."""

    def __init__(self) -> None:
        self.catalogue = load_catalogue()
        self._lowering_cache = LoweringCache()
        self._remote = RemoteTasks()
        self._models: LastUsed[Model] = LastUsed()
        self._fused: LastUsed[Fused] = LastUsed()
        self._stages: LastUsed[Stages] = LastUsed()
        self._examiners: LastUsed[Examiner] = LastUsed()
        self._oracles: LastUsed[list[Oracle]] = LastUsed()
        self._contents, self._sessions = Evaluators(), Evaluators()

    def stages(self, subject: Subject, device: Device) -> Stages:
        """The lowered model of a subject for a device."""
        flow = device.flow

        def fused() -> Fused:
            return Fused(self._model(subject).module, LoweringCache() if flow.digest else self._lowering_cache, flow)

        def make() -> Stages:
            return Stages(self._fused.get((subject.name, flow.digest), fused), parse_target(device.target))

        return self._stages.get((subject.name, device.target, flow.digest), make)

    def examiner(self, subject: Subject, device: Device) -> Examiner:
        """The examiner of accesses outside buffers for a subject compiled for the device."""

        def make() -> Examiner:
            return Examiner(self.stages(subject, device), self._workload(subject), self.catalogue)

        return self._examiners.get((subject.name, device.target, device.flow.digest), make)

    def rest(self) -> None:
        """Releases devices and child processes while the worker is idle."""
        self._sessions.rest()
        self._contents.rest()

    def build_baseline(self, request: BaselineRequest) -> Baseline:
        """The unmutated build, run twice; raises UntrustedError if the build fails or gives NaN."""
        evaluator = self._evaluator(request.subject, request.device)
        run = _golden(evaluator.evaluate(None, request.seconds), request)
        first = run.outputs
        assert first is not None and run.repeated is not None
        path = Path(request.folder) / f"golden-{request.subject.name}-{request.device.name}"
        first.save(path)
        compared = compare(first, first, request.subject.labels)
        noise = float(largest_differences(first, run.repeated).max())
        same_code = True  # kernels that were built again one by one gave the same bits
        prepared, reason = self._prepared(request, first)
        if prepared is None:
            again = _golden(evaluator.evaluate(None, request.seconds), request)
            assert again.outputs is not None
            noise = max(noise, float(largest_differences(first, again.outputs).max()))
            same_code = again.digest == run.digest
        return Baseline(
            request.pair,
            run.digest,
            str(path),
            compared.labels,
            compared.accuracy,
            run.build_seconds,
            run.run_seconds,
            noise,
            same_code,
            prepared,
            reason,
        )

    def judge(self, request: MutantRequest) -> MutantAnswer:
        """The row of a mutant, with its outputs if the request asks for them."""
        mutant = self.catalogue.parse(request.mutant)
        labels = request.subject.labels
        right = None if labels is None else np.asarray(labels)
        texts = request.baseline.oracles
        oracles = self._oracles.get(texts, lambda: [parse_oracle(text) for text in texts])
        try:
            ending, path, reason = self._evaluate(mutant, request, _stop_rule(request, oracles[0]))
            row = mutant_row(mutant, request.baseline, ending, right, oracles, self.catalogue, path, reason)
        except OracleError as error:
            raise UsageError(f"{error}, for the mutant {mutant}") from None
        return MutantAnswer(
            row, ending.value.outputs if request.outputs and isinstance(ending.value, Evaluation) else None
        )

    def _prepared(self, request: BaselineRequest, outputs: Samples) -> tuple[Prepared | PreparedSession | None, str]:
        """The input of evaluation by content, or why there is none; tries without fast kernels after a failure."""
        if not request.golden_bytes:
            return None, ""
        stages, workload = self.stages(request.subject, request.device), self._workload(request.subject)
        if not request.device.is_processor:
            self._sessions.rest()
            found = prepare_session(
                stages,
                workload,
                outputs,
                request.device,
                self.catalogue,
                Path(request.folder) / f"session-{request.subject.name}-{request.device.name}",
                request.golden_bytes,
                request.seconds,
                self._remote,
            )
            return (None, found) if isinstance(found, str) else (found, "")
        path = Path(request.folder) / f"values-{request.subject.name}-{request.device.name}.bin"
        reason = ""
        for fast in (True, False) if request.fast_kernels else (False,):
            wanted = Preparation(path, request.golden_bytes, request.mutants, fast, request.device.toolchain)
            ending = prepare(stages, workload, outputs, wanted, request.seconds)
            if isinstance(ending.value, Prepared):
                return ending.value, ""
            reason = ending.value or f"the unmutated model is not run kernel by kernel: {ending.reason}"
        return None, reason

    def _evaluate(
        self, mutant: Mutant, request: MutantRequest, stop: StopRule | None
    ) -> tuple[Ending, EvaluationPath, str]:
        """The ending of the mutant, evaluated by content if possible, else by a rebuild with the reason."""
        baseline, reason = request.baseline, request.baseline.golden_reason
        if baseline.golden is not None:
            evaluator = self._content_evaluator(request.subject, request.device, baseline.golden)
            ending = evaluator.evaluate(mutant, request.seconds, baseline.digest, stop)
            if not isinstance(ending.value, Unsuitable):
                return ending, EvaluationPath.CONTENT, ""
            reason = ending.value.reason
        forced = all(self.catalogue[each.operator].category is Category.CANARY for each in mutant.mutations)
        self._free_server(request.device)
        rebuild = self._evaluator(request.subject, request.device)
        ending = rebuild.evaluate(mutant, request.seconds, None if forced else baseline.digest, stop)
        return ending, EvaluationPath.REBUILD, reason

    def _free_server(self, device: Device) -> None:
        """Closes the sessions on a remote device, unless the device has a free server for a rebuild."""
        for evaluator in self._sessions.values():
            held = evaluator.session
            if held.is_open and held.device.session == device.session and not demand_for(device).free:
                held.close()

    def _content_evaluator(
        self, subject: Subject, device: Device, golden: Prepared | PreparedSession
    ) -> ContentEvaluator | SessionEvaluator:
        def make() -> ContentEvaluator | SessionEvaluator:
            stages, workload = self.stages(subject, device), self._workload(subject)
            if isinstance(golden, PreparedSession):
                return SessionEvaluator(stages, workload, device, self.catalogue, golden, self._remote)
            return ContentEvaluator(stages, workload, self.catalogue, golden)

        evaluators = self._sessions if isinstance(golden, PreparedSession) else self._contents
        evaluator: ContentEvaluator | SessionEvaluator = evaluators.get((subject.name, device.name), make)
        return evaluator

    def _evaluator(self, subject: Subject, device: Device) -> RebuildEvaluator:
        return RebuildEvaluator(
            self.stages(subject, device), self._workload(subject), device, self.catalogue, self._remote
        )

    def _workload(self, subject: Subject) -> Workload:
        return Workload(self._model(subject).scenario, subject.samples())

    def _model(self, subject: Subject) -> Model:
        return self._models.get(subject.name, subject.load)


def _golden(ending: Ending, request: BaselineRequest) -> Evaluation:
    if ending.kind == EndingKind.LOST:
        raise DeviceLostError(ending.reason)
    if ending.kind != EndingKind.FINISHED:
        remedy = "mend that first"
        if ending.reason.startswith(CompileError.__name__):
            target = request.device.target
            remedy = f"$CC or the device names the compiler, and tvm-mutate doctor --target {target} tries it"
        raise UntrustedError(
            f"the unmutated {request.subject.name} does not work on {request.device.name}: it {ending.kind} "
            f"in the stage {ending.stage!r} ({ending.reason}); {remedy}"
        )
    run: Evaluation = ending.value
    if run.outputs is not None and not _is_comparable(run.outputs):
        raise UntrustedError(
            f"the unmutated {request.subject.name} gives NaN or infinite outputs on {request.device.name}; "
            "verdicts against that mean nothing: check the inputs and their preprocessing"
        )
    return run


def _is_comparable(outputs: Samples) -> bool:
    """Whether no output is NaN, and no score of a classifier infinite; other programs may mask with infinities."""
    scores = classifier_scores(outputs)
    finite = scores is None or bool(np.isfinite(as_float64(scores)).all())
    return finite and not any(np.isnan(as_float64(each)).any() for each in outputs.arrays)


def _stop_rule(request: MutantRequest, oracle: Oracle) -> StopRule | None:
    if not request.until and request.precision is None:
        return None
    return StopRule(request.baseline.golden_outputs, oracle, request.until == "killed", request.precision)


def main(descriptor: int) -> None:
    """Serves requests from the connection with this file descriptor until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the campaign handles Ctrl-C
    die_with_parent()
    if not os.environ.get(TRACEBACK_VARIABLE):  # TVM's C++ writes warnings to the terminal of the user
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
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
        except OSError as error:  # such as a full disk: the campaign can resume later
            answer = ("refusal", CampaignInterruptedError(f"a worker cannot go on: {error}"))
        except Exception as error:  # an internal error ends the campaign with a message that names the line
            line = traceback.extract_tb(error.__traceback__)[-1]
            message = f"{type(error).__name__}: {error} (at {Path(line.filename).name}:{line.lineno}) in a worker"
            answer = ("refusal", MutateError(message))
        connection.send(answer)

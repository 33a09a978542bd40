"""A worker: a process that holds lowered models and has mutants evaluated in children of its own."""

from __future__ import annotations

import os
import signal
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from tvm_mutate.build import parse_target
from tvm_mutate.campaign.record import Baseline, mutant_row
from tvm_mutate.campaign.subject import Pair, Specification, Subject
from tvm_mutate.campaign.survey import Survey, survey
from tvm_mutate.device import Device, Ending, die_with_parent
from tvm_mutate.errors import CampaignInterruptedError, MutateError, UntrustedError
from tvm_mutate.evaluate import ContentEvaluator, Golden, RebuildEvaluator, Run, Unsuitable, golden_in_child
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Mutant
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import parse_oracle, top_labels
from tvm_mutate.pipeline import FoldingCache, Fused, Stages

_KEPT_LOWERED = 4


@dataclass(frozen=True)
class SurveyRequest:
    """Asks which mutants a subject has on a device."""

    subject: Subject
    device: Device
    specification: Specification


@dataclass(frozen=True)
class BaselineRequest:
    """Asks for the unmutated build, run twice; golden scores go into ``folder``.

    With ``golden_bytes`` the values of every step go there, too, for as many inputs as fit into so many bytes.
    ``fast_kernels`` allows faster schedules with the same bits where kernels are run one by one.
    """

    subject: Subject
    device: Device
    folder: str
    seconds: float
    golden_bytes: int = 0
    fast_kernels: bool = True


@dataclass(frozen=True)
class MutantRequest:
    """Asks for the row of one mutant.

    ``until`` and ``precision`` say when its inputs may end early, as in the specification.
    """

    subject: Subject
    device: Device
    mutant: str
    baseline: Baseline
    oracle: str
    seconds: float
    until: str = ""
    precision: float | None = None


Request = SurveyRequest | BaselineRequest | MutantRequest


class Worker:
    """Answers requests about subjects and devices, keeping the last few lowered models."""

    def __init__(self) -> None:
        self._catalogue = load_catalogue()
        self._folding = FoldingCache()
        self._models: OrderedDict[str, Fused] = OrderedDict()
        self._contents: OrderedDict[tuple[str, str], ContentEvaluator] = OrderedDict()
        self._stages: OrderedDict[tuple[str, str], Stages] = OrderedDict()

    def answer(self, request: Request) -> Any:
        """The answer to a request: a Survey, a Baseline or a row; raises MutateError for what the user can mend."""
        if isinstance(request, SurveyRequest):
            return self._survey(request)
        if isinstance(request, BaselineRequest):
            return self._baseline(request)
        return self._mutant(request)

    def _survey(self, request: SurveyRequest) -> Survey:
        stages = self._lowered(request.subject, request.device)
        return survey(stages, request.specification, self._catalogue)

    def _baseline(self, request: BaselineRequest) -> Baseline:
        evaluator = self._evaluator(request.subject, request.device)
        runs = [_golden(evaluator.evaluate(None, request.seconds), request) for _ in range(2)]
        first, second = (run.outputs for run in runs)
        assert first is not None and second is not None
        path = Path(request.folder) / f"golden-{request.subject.name}-{request.device.name}.npy"
        np.save(path, first)
        labels = top_labels(first)
        right = request.subject.labels
        golden, reason = self._golden_values(request, first)
        return Baseline(
            Pair(request.subject.name, request.device.name),
            runs[0].digest,
            str(path),
            tuple(int(label) for label in labels),
            None if right is None else float(np.mean(labels == np.asarray(right))),
            runs[0].build_seconds,
            runs[0].run_seconds,
            _largest_difference(first, second),
            runs[0].digest == runs[1].digest,
            golden,
            reason,
        )

    def _golden_values(self, request: BaselineRequest, outputs: np.ndarray) -> tuple[Golden | None, str]:
        """The values of every step, if the straight line gives the bits of the whole build; else why there are none."""
        if not request.golden_bytes:
            return None, ""
        stages = self._lowered(request.subject, request.device)
        path = Path(request.folder) / f"values-{request.subject.name}-{request.device.name}.bin"
        inputs = np.load(request.subject.inputs, mmap_mode="r")
        ending = golden_in_child(stages, inputs, path, request.golden_bytes, request.seconds)
        if ending.kind != "finished":
            return None, f"the unmutated model is not run kernel by kernel: {ending.reason}"
        golden, rows = ending.value
        if rows.tobytes() != outputs.tobytes():
            return None, "the unmutated model gives other bits kernel by kernel than as a whole"
        return golden, ""

    def _mutant(self, request: MutantRequest) -> dict[str, Any]:
        mutant = self._catalogue.parse(request.mutant)
        labels = request.subject.labels
        right = None if labels is None else np.asarray(labels)
        ending, reason = self._evaluate(mutant, request)
        oracle = parse_oracle(request.oracle)
        return mutant_row(mutant, request.baseline, ending, right, oracle, self._catalogue, reason)

    def _evaluate(self, mutant: Mutant, request: MutantRequest) -> tuple[Ending, str]:
        """The ending of the mutant, by content where that can be, else by rebuild and why."""
        reason = request.baseline.golden_reason
        if request.baseline.golden is not None:
            evaluator = self._content_evaluator(request, request.baseline.golden)
            ending = evaluator.evaluate(mutant, request.seconds, request.baseline.digest)
            if not isinstance(ending.value, Unsuitable):
                return ending, ""
            reason = ending.value.reason
        forced = all(mutation.operator.startswith("canary.") for mutation in mutant.mutations)
        rebuilding = self._evaluator(request.subject, request.device)
        return rebuilding.evaluate(mutant, request.seconds, None if forced else request.baseline.digest), reason

    def _content_evaluator(self, request: MutantRequest, golden: Golden) -> ContentEvaluator:
        def make() -> ContentEvaluator:
            folder = Path(golden.path).parent / f"kernels-{os.getpid()}-{request.subject.name}-{request.device.name}"
            inputs = np.load(request.subject.inputs, mmap_mode="r")
            stages = self._lowered(request.subject, request.device)
            return ContentEvaluator(stages, inputs, request.device, self._catalogue, golden, folder)

        return _kept(self._contents, (request.subject.name, request.device.name), make)

    def _evaluator(self, subject: Subject, device: Device) -> RebuildEvaluator:
        inputs = np.load(subject.inputs, mmap_mode="r")
        return RebuildEvaluator(self._lowered(subject, device), inputs, device, self._catalogue)

    def _lowered(self, subject: Subject, device: Device) -> Stages:
        key = (subject.name, device.target)
        return _kept(self._stages, key, lambda: Stages(self._fused(subject), parse_target(device.target)))

    def _fused(self, subject: Subject) -> Fused:
        def load() -> Fused:
            model = load_model(subject.reference, shape=dict(subject.shape) or None)
            return Fused(model.module, self._folding)

        return _kept(self._models, subject.name, load)


def _kept(cache: OrderedDict[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    """The value of a key, made if it is not there; the cache keeps those that were asked for last."""
    if key not in cache:
        cache[key] = make()
        while len(cache) > _KEPT_LOWERED:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]


def _golden(ending: Ending, request: BaselineRequest) -> Run:
    if ending.kind != "finished":
        raise UntrustedError(
            f"the unmutated {request.subject.name} does not work on {request.device.name}: it {ending.kind} "
            f"in the stage {ending.stage!r} ({ending.reason}); mend that first"
        )
    run: Run = ending.value
    if run.outputs is not None and not np.isfinite(run.outputs).all():
        raise UntrustedError(
            f"the unmutated {request.subject.name} gives NaN or infinite scores on {request.device.name}; "
            "verdicts against that mean nothing: check the model's preprocessing"
        )
    return run


def _largest_difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.max(np.abs(first.astype("float64") - second.astype("float64")), initial=0.0))


def main(descriptor: int) -> None:
    """Serves requests from the connection with this file descriptor until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the campaign's business
    die_with_parent()
    connection = Connection(descriptor)
    worker = Worker()
    while True:
        try:
            request: Request = connection.recv()
        except EOFError:
            return
        try:
            answer: tuple[str, Any] = ("answer", worker.answer(request))
        except MutateError as error:
            answer = ("refusal", error)
        except OSError as error:  # a full disk, say: the campaign can go on later
            answer = ("refusal", CampaignInterruptedError(f"a worker cannot go on: {error}"))
        except Exception as error:  # an error of ours: it ends the campaign with its place, not the worker in silence
            place = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{type(error).__name__}: {error} (at {Path(place.filename).name}:{place.lineno}) in a worker"
            answer = ("refusal", MutateError(told))
        connection.send(answer)

"""Runs a campaign: survey, plan, baselines, canaries, mutants; the journal is written as it goes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from tvm_mutate.campaign.baselines import Baselines
from tvm_mutate.campaign.between import Between, compare_devices
from tvm_mutate.campaign.earlier import Earlier
from tvm_mutate.campaign.engine import Engine, EngineFactory, Job, WorkerDeathError
from tvm_mutate.campaign.environment import environment, package_versions
from tvm_mutate.campaign.journal import Journal
from tvm_mutate.campaign.memory import golden_bytes
from tvm_mutate.campaign.pool import WorkerPool
from tvm_mutate.campaign.progress import QuietReporter, Reporter
from tvm_mutate.campaign.record import Baseline, lost_row, mark_duplicates
from tvm_mutate.campaign.requests import BaselineRequest, MutantAnswer, MutantRequest, Request, SurveyRequest
from tvm_mutate.campaign.shard import take_shard
from tvm_mutate.campaign.subject import Pair, Plan, Specification, Subject
from tvm_mutate.campaign.survey import Survey, check_specification
from tvm_mutate.campaign.trust import CANARIES, baseline_row, canary_row, trusted
from tvm_mutate.campaign.undefined import undefined_requests
from tvm_mutate.device import Device, DeviceLostError, EndingKind, held_folder
from tvm_mutate.errors import CampaignInterruptedError, UsageError
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import Outcome, parse_oracle
from tvm_mutate.results import AbsentRow, CanaryRow, DeviceRow, ModelRow, MutantRow, Results, UndefinedRow

LEAST_SECONDS = 20.0
TIMES_UNMUTATED = 5.0
_BASELINE_SECONDS = 1800.0
_CRASHES = (Outcome.CRASH, Outcome.TIMEOUT, Outcome.EXCEPTION)
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Conducted:
    """What a campaign found: by pair the surveys and the unmutated builds, the canaries, and a row a mutant.

    ``between`` is what differs between devices.
    """

    surveys: dict[Pair, Survey]
    baselines: dict[Pair, Baseline]
    canaries: list[CanaryRow]
    rows: list[Any]
    between: Between


class Study:
    """What a campaign asks about each mutant: the verdict. A subclass asks something else."""

    phase = "mutants"
    row_type: type[Any] = MutantRow
    compares_devices = True

    def survey_specification(self, specification: Specification) -> Specification:
        """The specification of the mutants among which :meth:`choose` chooses."""
        return specification

    def choose(self, survey: Survey) -> Survey:
        """The survey with only the mutants that the campaign asks about."""
        return survey

    def request(self, request: MutantRequest) -> MutantRequest:
        """The request about a mutant, made from the request for its verdict."""
        return request

    def lost_row(self, request: MutantRequest, error: Exception) -> Any:
        """The row of a mutant whose worker died or whose device was lost."""
        catalogue = load_catalogue()
        kind = EndingKind.LOST if isinstance(error, DeviceLostError) else EndingKind.DIED
        mutant = catalogue.parse(request.mutant)
        return lost_row(mutant, request.baseline, kind, str(error), parse_oracle(request.oracle), catalogue)


@dataclass
class Campaign:
    """A plan of mutants on subjects and devices, run by workers, journaled in ``output``.

    ``workers`` is the number of processes (0: one a core). ``least_seconds`` is the shortest time limit of a mutant;
    five times the unmutated time, where that is longer. ``memory`` bounds the bytes of the campaign (None: a quarter of
    the machine's). ``iterate`` is the output folder of an earlier campaign, whose verdicts are carried over where
    nothing has changed. ``name_undefined`` says of which mutants it is found out whether they access memory outside
    their buffers: ``discrepant`` ones, ``all`` or ``none``. ``engine`` makes what answers the requests in place of
    worker processes of this machine; it is given an observer that wants to know what each worker is at. ``study`` asks
    something else than a verdict about each mutant.
    """

    subjects: Sequence[Subject]
    devices: Sequence[Device]
    specification: Specification
    output: Path
    workers: int = 0
    least_seconds: float = LEAST_SECONDS
    reporter: Reporter | None = None
    memory: int | None = None
    iterate: Path | None = None
    engine: EngineFactory | None = None
    name_undefined: str = "discrepant"
    study: Study = field(default_factory=Study)

    def run(self) -> Results:
        """The results, when all is done; raises as :meth:`conduct` does."""
        conducted = self.conduct()
        rows = mark_duplicates(conducted.rows)
        return Results(
            environment=environment(),
            models=tuple(ModelRow(**subject.identity(), reference=subject.reference) for subject in self.subjects),
            devices=tuple(msgspec.convert(device.to_mapping(), DeviceRow) for device in self.devices),
            baselines=tuple(baseline_row(baseline) for baseline in conducted.baselines.values()),
            canaries=tuple(conducted.canaries),
            mutants=tuple(rows),
            absent=tuple(_absent_rows(conducted.surveys)),
            discrepancies=tuple(conducted.between.discrepancies),
            agreements=tuple(conducted.between.agreements),
            undefined=tuple(conducted.between.undefined),
        )

    def plan(self) -> Plan:
        """What the campaign is asked to do."""
        devices = tuple(device.identity() for device in self.devices)
        return Plan(tuple(self.subjects), devices, self.specification, package_versions())

    def conduct(self) -> Conducted:
        """What the campaign found, when all is done.

        Raises UntrustedError where an unmutated build or a canary fails, CampaignInterruptedError on Ctrl-C (the same
        campaign then goes on where it was), and UsageError for what the user can mend.
        """
        check_specification(self.specification)
        self._worker_count = self.workers or os.cpu_count() or 1
        self._golden_bytes = golden_bytes(self.memory, self._worker_count)
        self._reporter = self.reporter or QuietReporter()
        plan = self.plan()
        self._earlier = self._earlier_of(plan)
        journal = Journal(self.output, plan.digest(), plan.mapping(), self.study.row_type)
        try:
            with held_folder("golden") as golden, self._engine() as engine:
                return self._conduct(journal, engine, str(golden))
        except Exception:
            journal.discard_unused()
            raise
        except KeyboardInterrupt:
            raise CampaignInterruptedError(
                f"interrupted; what was decided is in {self.output}, and the same command goes on from there"
            ) from None
        finally:
            self._reporter.close()
            journal.close()

    def _engine(self) -> Engine:
        def observe(worker: int, request: Request | None) -> None:
            self._reporter.working(worker, "" if request is None else str(request))

        return self.engine(observe) if self.engine else WorkerPool(self._worker_count, observe)

    def _earlier_of(self, plan: Plan) -> Earlier | None:
        if self.iterate is None:
            return None
        if self.iterate.resolve() == self.output.resolve():
            raise UsageError(f"--iterate names the output folder itself, {self.output}; the same command resumes that")
        return Earlier(self.iterate, plan)

    def _conduct(self, journal: Journal, engine: Engine, golden: str) -> Conducted:
        surveys = take_shard(self._surveys(engine), self.specification.shard)
        for pair, survey in surveys.items():
            journal.add_planned(pair.subject, pair.device, survey.mutants)
        baselines = self._baselines(engine, golden, surveys)
        canaries = self._canaries(engine, baselines)
        rows = self._mutants(engine, journal, surveys, baselines)
        built = baselines.present
        between = self._between(engine, journal, built, rows) if self.study.compares_devices else Between()
        return Conducted(surveys, built, canaries, rows, between)

    def _between(self, engine: Engine, journal: Journal, baselines: dict[Pair, Baseline], rows: list[Any]) -> Between:
        """What differs between devices, with the accesses of mutants outside their buffers."""
        between = compare_devices(rows, baselines, [device.name for device in self.devices], journal)
        examined = journal.examined()
        asked = undefined_requests(self.name_undefined, rows, between.discrepancies, self.subjects, self.devices)
        waiting = [request for request in asked if (request.subject.name, request.mutant) not in examined]
        for request, answer in self._answers(engine, "accesses", waiting) if waiting else ():
            if isinstance(answer, UndefinedRow):  # a worker that died over it has nothing to tell
                journal.add_examined(answer)
                examined[request.subject.name, request.mutant] = answer
        return between.examined(rows, examined)

    def _pairs(self) -> list[tuple[Subject, Device]]:
        return [(subject, device) for subject in self.subjects for device in self.devices]

    def _answers(self, engine: Engine, name: str, requests: Iterable[Request]) -> Iterator[tuple[Any, Any]]:
        """Each request with its answer or what it was lost with, as they come; raises what workers refuse with."""
        jobs = [Job(request, request.pair, request.group) for request in requests]
        self._reporter.phase(name, len(jobs))
        by_future = dict(zip(engine.submit(jobs), jobs, strict=True))
        for future in as_completed(by_future):
            try:
                answer = future.result()
            except (WorkerDeathError, DeviceLostError) as error:
                answer = error
            self._reporter.step(_word_of(answer))
            yield by_future[future].request, answer

    def _surveys(self, engine: Engine) -> dict[Pair, Survey]:
        specification = self.study.survey_specification(self.specification)
        requests = [SurveyRequest(subject, device, specification) for subject, device in self._pairs()]
        answers = {request.pair: answer for request, answer in self._answers(engine, "finding sites", requests)}
        return {request.pair: self.study.choose(trusted(answers[request.pair])) for request in requests}

    def _baselines(self, engine: Engine, golden: str, surveys: dict[Pair, Survey]) -> Baselines:
        room = 0 if self.specification.rebuild else self._golden_bytes // max(len(self._pairs()), 1)
        fast = self.specification.fast_kernels
        requests = [
            BaselineRequest(subject, device, golden, _BASELINE_SECONDS, room, fast, len(surveys[pair].mutants))
            for subject, device in self._pairs()
            for pair in [Pair(subject.name, device.name)]
        ]
        answers = {request.pair: answer for request, answer in self._answers(engine, "unmutated builds", requests)}
        baselines = Baselines()
        for pair in (request.pair for request in requests):
            if isinstance(answers[pair], DeviceLostError):
                baselines.lose(pair, answers[pair])
            else:
                baselines.present[pair] = trusted(answers[pair])
        return baselines.checked()

    def _request(self, subject: Subject, device: Device, mutant: str, baseline: Baseline) -> MutantRequest:
        seconds = max(self.least_seconds, TIMES_UNMUTATED * baseline.seconds)
        return MutantRequest(subject, device, mutant, baseline, self.specification.oracle, seconds)

    def _canaries(self, engine: Engine, baselines: Baselines) -> list[CanaryRow]:
        expected = {canary.mutant: canary for canary in CANARIES}
        requests = [
            self._request(subject, device, canary.mutant, baselines.of(subject, device))
            for subject, device in self._pairs()
            for canary in CANARIES
            if Pair(subject.name, device.name) in baselines.present
        ]
        rows: dict[tuple[Pair, str], CanaryRow] = {}
        for request, answer in self._answers(engine, "canaries", requests):
            row = trusted(answer).row
            if row.outcome is Outcome.DEVICE_LOST:
                baselines.lose(request.pair, DeviceLostError(row.reason))
            else:
                rows[request.pair, request.mutant] = canary_row(expected[request.mutant], row)
        present = baselines.checked().present
        return [rows[request.pair, request.mutant] for request in requests if request.pair in present]

    def _mutants(
        self, engine: Engine, journal: Journal, surveys: dict[Pair, Survey], baselines: Baselines
    ) -> list[Any]:
        known = self._known(journal, surveys)
        wanted = [
            (subject, device, mutant)
            for subject, device in self._pairs()
            for mutant in surveys[Pair(subject.name, device.name)].mutants
        ]
        until, precision = self.specification.until, self.specification.precision
        waiting = [each for each in wanted if (each[0].name, each[1].name, each[2]) not in known]
        requests = [
            self.study.request(
                replace(
                    self._request(subject, device, mutant, baselines.of(subject, device)),
                    until=until,
                    precision=precision,
                    scores=len(self.devices) > 1,  # to compare the devices
                )
            )
            for subject, device, mutant in waiting
        ]
        away = [(request, baselines.lost[request.pair]) for request in requests if request.pair in baselines.lost]
        there = [request for request in requests if request.pair in baselines.present]
        for request, answer in itertools.chain(away, self._answers(engine, self.study.phase, there)):
            row = self.study.lost_row(request, answer) if isinstance(answer, Exception) else answer
            if isinstance(row, MutantAnswer):
                if row.scores is not None:
                    assert row.row.outputs_digest is not None
                    journal.add_scores(row.row.outputs_digest, row.scores)
                row = row.row
            row = msgspec.structs.replace(row, place_digest=surveys[request.pair].places.get(request.mutant))
            journal.add(row)
            known[row.model, row.device, row.id] = row
        return [known[subject.name, device.name, mutant] for subject, device, mutant in wanted]

    def _known(self, journal: Journal, surveys: dict[Pair, Survey]) -> dict[Key, Any]:
        """The rows that need no evaluation: those in the journal, and those carried over, which are written there."""
        there = [row for row in journal.rows() if row.outcome is not Outcome.DEVICE_LOST]
        known = {(row.model, row.device, row.id): row for row in there}
        if known:
            self._reporter.note(f"{len(known)} rows are in the journal already")
        if self._earlier is None:
            return known
        carried = 0
        for subject, device in self._pairs():
            survey = surveys[Pair(subject.name, device.name)]
            rows = self._earlier.carried(subject, device, survey)
            for mutant in survey.mutants:
                if mutant in rows and (subject.name, device.name, mutant) not in known:
                    journal.add(rows[mutant])
                    known[subject.name, device.name, mutant] = rows[mutant]
                    carried += 1
        why = f": {self._earlier.obstacle}" if self._earlier.obstacle else ""
        self._reporter.note(f"{carried} rows are carried over from {self._earlier.folder}{why}")
        return known


def _word_of(answer: Any) -> str:
    """The word under which the progress lines count an answer."""
    if isinstance(answer, UndefinedRow):
        return str(answer.behaviour)
    row = getattr(answer, "row", None)
    if not isinstance(row, MutantRow):
        return ""
    return "crashed" if row.outcome in _CRASHES else str(row.verdict or row.outcome)


def _absent_rows(surveys: dict[Pair, Survey]) -> Iterable[AbsentRow]:
    for pair, survey in surveys.items():
        for mutant, reason in survey.absent.items():
            yield AbsentRow(id=mutant, model=pair.subject, device=pair.device, reason=reason)

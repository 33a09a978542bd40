"""A campaign from its plan to its results: find the mutants, build the baselines, check the canaries, judge."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tvm_mutate.campaign.discrepancies import (
    Unmutated,
    find_agreements,
    find_discrepancies,
    undefined_requests,
    with_behaviours,
)
from tvm_mutate.campaign.journal import EarlierCampaign, Journal
from tvm_mutate.campaign.mutant_rows import Baseline, lost_row, mark_duplicates
from tvm_mutate.campaign.plan import Pair, Plan, Specification, Subject, golden_bytes
from tvm_mutate.campaign.pool import Engine, EngineFactory, WorkerDeathError, WorkerPool
from tvm_mutate.campaign.progress import Reporter
from tvm_mutate.campaign.since import Since
from tvm_mutate.campaign.survey import Survey, take_shard
from tvm_mutate.campaign.work_order import Job
from tvm_mutate.campaign.worker import BaselineRequest, MutantAnswer, MutantRequest, Request, SurveyRequest
from tvm_mutate.device import Device, DeviceLostError, EndingKind, held_folder
from tvm_mutate.errors import CampaignInterruptedError, UntrustedError, UsageError
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import Outcome, Verdict
from tvm_mutate.results import (
    AbsentRow,
    AgreementRow,
    CanaryRow,
    DeviceRow,
    DiscrepancyRow,
    MutantRow,
    Results,
    UndefinedRow,
    environment,
    package_versions,
)
from tvm_mutate.samples import Samples

LEAST_SECONDS = 20.0
TIMES_UNMUTATED = 5.0
_BASELINE_SECONDS = 1800.0
_CRASHES = (Outcome.CRASH, Outcome.TIMEOUT, Outcome.EXCEPTION)


@dataclass(frozen=True)
class Canary:
    """A mutant with a known verdict; another verdict makes all verdicts of the campaign untrustworthy.

    ``otherwise`` takes the place of the mutant in a model where the mutant has no site.
    """

    name: str
    mutant: str
    verdict: Verdict
    otherwise: str = ""


CANARIES = (
    Canary("no-op", "canary.reverse-loop@*#*", Verdict.SURVIVED, otherwise="canary.no-op@*#*"),
    Canary("sure kill", "canary.negate-output@*#*", Verdict.KILLED),
)


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
        return lost_row(mutant, request.baseline, kind, str(error), catalogue)


@dataclass
class Campaign:
    """A plan of mutants on subjects and devices, run by workers, with its journal in the folder ``output``.

    ``workers`` is the number of processes (0: one per core). The time limit of a mutant is five times the unmutated
    time, but at least ``least_seconds``. ``memory`` bounds the bytes of the campaign (None: a quarter of the machine).
    ``iterate`` is the output folder of an earlier campaign: verdicts on unchanged functions are reused. ``since`` is an
    earlier state of the models: mutants in unchanged functions are left out.
    ``name_undefined`` chooses the mutants that are examined for accesses outside their buffers: ``discrepant``, ``all``
    or ``none``. ``engine`` replaces the worker processes of this machine. ``study`` asks something else than the
    verdict about each mutant.
    """

    subjects: Sequence[Subject]
    devices: Sequence[Device]
    specification: Specification
    output: Path
    workers: int = 0
    least_seconds: float = LEAST_SECONDS
    reporter: Reporter = field(default_factory=Reporter)
    memory: int | None = None
    iterate: Path | None = None
    since: Since | None = None
    engine: EngineFactory | None = None
    name_undefined: str = "discrepant"
    study: Study = field(default_factory=Study)

    def plan(self) -> Plan:
        """The plan, which tells campaigns apart."""
        devices = tuple(device.identity() for device in self.devices)
        return Plan(tuple(self.subjects), devices, self.specification, package_versions())

    def run(self) -> Results:
        """The results of the whole campaign; raises as :meth:`conduct` does."""
        found = self.conduct()
        return Results(
            environment=environment(),
            models=tuple(subject.row() for subject in self.subjects),
            devices=tuple(msgspec.convert(device.to_mapping(), DeviceRow) for device in self.devices),
            baselines=tuple(baseline.row() for baseline in found.baselines.values()),
            canaries=tuple(found.canaries),
            mutants=tuple(mark_duplicates(found.rows)),
            absent=tuple(
                AbsentRow(id=mutant, model=pair.subject, device=pair.device, reason=reason)
                for pair, survey in found.surveys.items()
                for mutant, reason in survey.absent.items()
            ),
            discrepancies=tuple(found.discrepancies),
            agreements=tuple(found.agreements),
            undefined=tuple(found.undefined),
        )

    def conduct(self) -> CampaignRun:
        """Runs the whole campaign.

        Raises UntrustedError if an unmutated build or a canary fails, CampaignInterruptedError on Ctrl-C (the same
        campaign then resumes), and UsageError for problems that the user can solve.
        """
        self.specification.check()
        workers = self.workers or os.cpu_count() or 1
        golden_size = golden_bytes(self.memory, workers)
        plan = self.plan()
        earlier = self._earlier_campaign(plan)
        journal = Journal(self.output, plan.digest(), plan.mapping(), self.study.row_type)
        try:
            with held_folder("golden") as folder, self._start_engine(workers) as engine:
                run = CampaignRun(self, engine, journal)
                run.find_mutants()
                if self.since and not any(survey.mutants for survey in run.surveys.values()):
                    return run
                run.build_baselines(str(folder), golden_size)
                run.check_canaries()
                run.judge_mutants(earlier)
                if self.study.compares_devices:
                    run.compare_devices()
                return run
        except Exception:
            journal.discard_unused()
            raise
        except KeyboardInterrupt:
            raise CampaignInterruptedError(
                f"interrupted; what was decided is in {self.output}, and the same command goes on from there"
            ) from None
        finally:
            self.reporter.close()
            journal.close()

    def _start_engine(self, workers: int) -> Engine:
        def observe(worker: int, request: Request | None) -> None:
            self.reporter.working(worker, "" if request is None else str(request))

        return self.engine(observe) if self.engine else WorkerPool(workers, observe)

    def _earlier_campaign(self, plan: Plan) -> EarlierCampaign | None:
        if self.iterate is None:
            return None
        if self.iterate.resolve() == self.output.resolve():
            raise UsageError(f"--iterate names the output folder itself, {self.output}; the same command resumes that")
        return EarlierCampaign(self.iterate, plan)


class CampaignRun:
    """One run of a campaign, step by step; the attributes hold what the run found.

    ``baselines`` has no entry for a pair whose device was lost.
    """

    def __init__(self, campaign: Campaign, engine: Engine, journal: Journal) -> None:
        self._campaign, self._engine, self._journal = campaign, engine, journal
        self._pairs = {
            Pair(subject.name, device.name): (subject, device)
            for subject in campaign.subjects
            for device in campaign.devices
        }
        self._lost: dict[Pair, DeviceLostError] = {}
        self.surveys: dict[Pair, Survey] = {}
        self.baselines: dict[Pair, Baseline] = {}
        self.canaries: list[CanaryRow] = []
        self.rows: list[Any] = []
        self.agreements: list[AgreementRow] = []
        self.discrepancies: list[DiscrepancyRow] = []
        self.undefined: list[UndefinedRow] = []

    def find_mutants(self) -> None:
        """Finds the mutants of every pair and writes them into the journal."""
        study = self._campaign.study
        specification = study.survey_specification(self._campaign.specification)
        since = self._campaign.since
        requests = [SurveyRequest(*names, specification, since) for names in self._pairs.values()]
        answers = {request.pair: answer for request, answer in self._answers("finding sites", requests)}
        surveys = {pair: study.choose(_trusted(answers[pair])) for pair in self._pairs}
        self.surveys = take_shard(surveys, self._campaign.specification.shard)
        for pair, survey in self.surveys.items():
            for failure in survey.failures:
                self._campaign.reporter.note(f"{pair.subject} on {pair.device}: left out: {failure}")
            if survey.since:
                self._campaign.reporter.note(f"{pair.subject} on {pair.device}: {survey.since}")
            self._journal.add_planned(pair.subject, pair.device, survey.mutants)

    def build_baselines(self, folder: str, golden_size: int) -> None:
        """Builds and runs every unmutated model; ``golden_size`` bytes in ``folder`` are for golden values."""
        specification = self._campaign.specification
        share = 0 if specification.rebuild else golden_size // max(len(self._pairs), 1)
        fast = specification.fast_kernels
        requests = [
            BaselineRequest(subject, device, folder, _BASELINE_SECONDS, share, fast, len(self.surveys[pair].mutants))
            for pair, (subject, device) in self._pairs.items()
        ]
        answers = {request.pair: answer for request, answer in self._answers("unmutated builds", requests)}
        for pair in self._pairs:
            if isinstance(answers[pair], DeviceLostError):
                self._lost[pair] = answers[pair]
            else:
                self.baselines[pair] = _trusted(answers[pair]).judged_by(specification.oracles)
        self._check_some_device_is_left()

    def check_canaries(self) -> None:
        """Judges both canaries on every pair; raises UntrustedError for a verdict that is not the known one."""
        asked = [(pair, canary, canary.mutant) for pair in self.baselines for canary in CANARIES]
        names = [(pair, canary.name) for pair, canary, _ in asked]
        rows: dict[tuple[Pair, str], CanaryRow] = {}
        while asked:
            canaries = {(pair, mutant): canary for pair, canary, mutant in asked}
            asked = []
            for request, answer in self._answers("canaries", [self._request(*each) for each in canaries]):
                pair, row, canary = request.pair, _trusted(answer).row, canaries[request.pair, request.mutant]
                if row.outcome is Outcome.DEVICE_LOST:
                    self.baselines.pop(pair, None)
                    self._lost[pair] = DeviceLostError(row.reason)
                elif canary.otherwise and row.outcome is Outcome.COMPLETED and not row.is_applied:
                    if row.id == canary.otherwise:
                        raise UsageError(
                            f"{row.model} has no kernel on {row.device}, so that there is nothing to mutate"
                        )
                    asked.append((pair, canary, canary.otherwise))
                else:
                    rows[pair, canary.name] = _canary_row(canary, row, self.baselines[pair].golden_outputs)
        self._check_some_device_is_left()
        self.canaries = [rows[each] for each in names if each[0] in self.baselines]

    def judge_mutants(self, earlier: EarlierCampaign | None) -> None:
        """Makes the row of every mutant, in the order of the plan; writes every new row into the journal."""
        study, specification = self._campaign.study, self._campaign.specification
        known = self._known_rows(earlier)
        planned = [(pair, mutant) for pair in self._pairs for mutant in self.surveys[pair].mutants]
        requests = [
            study.request(
                self._request(
                    pair,
                    mutant,
                    until=specification.until,
                    precision=specification.precision,
                    outputs=len(self._campaign.devices) > 1,  # to compare the devices
                )
            )
            for pair, mutant in planned
            if (pair, mutant) not in known
        ]
        lost = [(request, self._lost[request.pair]) for request in requests if request.pair in self._lost]
        present = [request for request in requests if request.pair in self.baselines]
        for request, answer in itertools.chain(lost, self._answers(study.phase, present)):
            row = study.lost_row(request, answer) if isinstance(answer, Exception) else answer
            if isinstance(row, MutantAnswer):
                if row.outputs is not None:
                    assert row.row.outputs_digest is not None
                    self._journal.add_outputs(row.row.outputs_digest, row.outputs)
                row = row.row
            digest = self.surveys[request.pair].places.get(request.mutant)
            row = msgspec.structs.replace(row, place_digest=digest)
            self._journal.add(row)
            known[request.pair, request.mutant] = row
        self.rows = [known[each] for each in planned]

    def compare_devices(self) -> None:
        """Compares devices, and examines mutants for accesses outside their buffers."""
        campaign, journal = self._campaign, self._journal
        builds = {
            (pair.subject, pair.device): Unmutated(baseline.labels, baseline.golden_outputs, baseline.noise_floor)
            for pair, baseline in self.baselines.items()
        }
        golden = {each.outputs.digest(): each.outputs for each in builds.values() if each.outputs is not None}

        def outputs_of(row: MutantRow) -> Samples | None:
            digest = row.outputs_digest
            if digest is None:
                return None
            return golden[digest] if digest in golden else journal.outputs(digest)

        devices = [device.name for device in campaign.devices]
        self.agreements = find_agreements(builds, devices)
        discrepancies = find_discrepancies(self.rows, builds, devices, outputs_of)
        examined = journal.examined()
        wanted = undefined_requests(
            campaign.name_undefined, self.rows, discrepancies, campaign.subjects, campaign.devices
        )
        requests = [each for each in wanted if (each.subject.name, each.mutant) not in examined]
        for request, answer in self._answers("accesses", requests) if requests else ():
            if isinstance(answer, UndefinedRow):  # nothing is known if the worker died
                journal.add_examined(answer)
                examined[request.subject.name, request.mutant] = answer
        self.discrepancies = with_behaviours(discrepancies, self.rows, examined)
        mutants = dict.fromkeys((row.model, row.id) for row in self.rows)
        self.undefined = [examined[mutant] for mutant in mutants if mutant in examined]

    def _answers(self, phase: str, requests: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """Each request with its answer, WorkerDeathError or DeviceLostError, as they come; raises other errors."""
        jobs = [Job(request, request.pair, request.group) for request in requests]
        self._campaign.reporter.phase(phase, len(jobs))
        by_future = dict(zip(self._engine.submit(jobs), jobs, strict=True))
        for future in as_completed(by_future):
            try:
                answer = future.result()
            except (WorkerDeathError, DeviceLostError) as error:
                answer = error
            self._campaign.reporter.step(_counted_word(answer))
            yield by_future[future].request, answer

    def _request(self, pair: Pair, mutant: str, **options: Any) -> MutantRequest:
        subject, device = self._pairs[pair]
        baseline = self.baselines.get(pair)
        if baseline is None:  # the device was lost
            run_seconds = (0.0,) * subject.input_count
            baseline = Baseline(pair, "", "", None, None, 0.0, run_seconds, 0.0, same_code=False)
        seconds = max(self._campaign.least_seconds, TIMES_UNMUTATED * baseline.seconds)
        return MutantRequest(subject, device, mutant, baseline, seconds, **options)

    def _check_some_device_is_left(self) -> None:
        if self._lost and not self.baselines:
            error = next(iter(self._lost.values()))
            raise CampaignInterruptedError(f"{error}; the same command goes on when it is back")

    def _known_rows(self, earlier: EarlierCampaign | None) -> dict[tuple[Pair, str], Any]:
        """The rows of the journal and the reusable rows of an earlier campaign, which it writes into the journal."""
        journaled = [row for row in self._journal.rows() if row.outcome is not Outcome.DEVICE_LOST]
        known = {(Pair(row.model, row.device), row.id): row for row in journaled}
        if known:
            self._campaign.reporter.note(f"{len(known)} rows are in the journal already")
        if earlier is None:
            return known
        before = len(known)
        for pair, (subject, device) in self._pairs.items():
            rows = earlier.reusable(subject, device, self.surveys[pair])
            for mutant in self.surveys[pair].mutants:
                if mutant in rows and (pair, mutant) not in known:
                    self._journal.add(rows[mutant])
                    known[pair, mutant] = rows[mutant]
        why = f": {earlier.obstacle}" if earlier.obstacle else ""
        self._campaign.reporter.note(f"{len(known) - before} rows are carried over from {earlier.folder}{why}")
        return known


def _trusted(answer: Any) -> Any:
    """The answer about an unmutated build or a canary; raises UntrustedError if the worker died."""
    if isinstance(answer, WorkerDeathError):
        raise UntrustedError(f"{answer} over an unmutated build or a canary; is there enough memory?")
    return answer


def _canary_row(canary: Canary, row: MutantRow, golden: Samples) -> CanaryRow:
    # A no-op whose code is the unmutated code has a proof that it changes nothing.
    is_proved = canary.verdict is Verdict.SURVIVED and row.verdict is Verdict.EQUIVALENT
    if row.verdict != canary.verdict and not is_proved:
        raise UntrustedError(
            f"the {canary.name} canary of {row.model} on {row.device} came out {row.verdict}, not "
            f"{canary.verdict} ({row.reason}); {_remedy(row, golden)}"
        )
    return CanaryRow(
        device=row.device,
        model=row.model,
        canary=canary.name,
        id=row.id,
        verdict=row.verdict,
        ok=True,
        reason=row.reason,
    )


def _remedy(row: MutantRow, golden: Samples) -> str:
    """Why a canary came out wrong, and the remedy."""
    if row.verdict is not Verdict.SURVIVED:
        return "no verdict of this campaign could be believed"
    inputs = "give other inputs or a stricter --oracle: with these no fault of the outputs is noticed"
    if all((array == array.flat[0]).all() for array in golden.arrays if array.size):
        return f"the golden outputs hold one value only, on all inputs; {inputs}"
    if len(golden) > 1 and all((array == array[0]).all() for array in golden.arrays):
        return f"the golden outputs are the same for all inputs; {inputs}"
    return inputs


def _counted_word(answer: Any) -> str:
    """The word under which the progress lines count an answer."""
    if isinstance(answer, UndefinedRow):
        return str(answer.behaviour)
    row = getattr(answer, "row", None)
    if not isinstance(row, MutantRow):
        return ""
    return "crashed" if row.outcome in _CRASHES else str(row.verdict or row.outcome)

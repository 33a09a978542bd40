"""Runs a campaign: survey, baselines, canaries, mutants; the journal is written as it goes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tvm_mutate.campaign.environment import environment, package_versions
from tvm_mutate.campaign.journal import Journal
from tvm_mutate.campaign.pool import WorkerDeathError, WorkerPool
from tvm_mutate.campaign.progress import QuietReporter, Reporter
from tvm_mutate.campaign.record import Baseline, lost_row
from tvm_mutate.campaign.results import Results, Row, find_discrepancies
from tvm_mutate.campaign.subject import Pair, Plan, Specification, Subject
from tvm_mutate.campaign.survey import Survey, check_sites
from tvm_mutate.campaign.worker import BaselineRequest, MutantRequest, Request, SurveyRequest
from tvm_mutate.device import Device
from tvm_mutate.errors import CampaignInterruptedError, UntrustedError
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import parse_oracle

LEAST_SECONDS = 20.0
TIMES_UNMUTATED = 5.0
_BASELINE_SECONDS = 1800.0


@dataclass(frozen=True)
class Canary:
    """A mutant whose verdict is known beforehand; if it comes out otherwise, no verdict can be believed."""

    name: str
    mutant: str
    verdict: str


CANARIES = (
    Canary("no-op", "canary.reverse-loop@*#*", "survived"),
    Canary("sure kill", "canary.negate-output@main#*", "killed"),
)


@dataclass
class Campaign:
    """A plan of mutants on subjects and devices, run by workers, journaled in ``output``.

    ``workers`` is the number of processes (0: one a core). ``least_seconds`` is the shortest time limit of a mutant;
    five times the unmutated time, where that is longer.
    """

    subjects: Sequence[Subject]
    devices: Sequence[Device]
    specification: Specification
    output: Path
    workers: int = 0
    least_seconds: float = LEAST_SECONDS
    reporter: Reporter | None = None

    def run(self) -> Results:
        """The results, when all is done.

        Raises UntrustedError where an unmutated build or a canary fails, CampaignInterruptedError on Ctrl-C (the same
        campaign then goes on where it was), and UsageError for what the user can mend.
        """
        check_sites(self.specification.sites)
        parse_oracle(self.specification.oracle)
        self.reporter = self.reporter or QuietReporter()
        plan = Plan(
            tuple(self.subjects),
            tuple((device.name, device.target) for device in self.devices),
            self.specification,
            package_versions(),
        )
        journal = Journal(self.output, plan.digest(), {"subjects": [each.identity() for each in self.subjects]})
        try:
            with (
                tempfile.TemporaryDirectory(prefix="tvm_mutate-golden-") as golden,
                WorkerPool(self.workers or os.cpu_count() or 1) as pool,
            ):
                return self._run(journal, pool, golden)
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

    def _run(self, journal: Journal, pool: WorkerPool, golden: str) -> Results:
        surveys = self._surveys(pool)
        baselines = self._baselines(pool, golden)
        canaries = self._canaries(pool, baselines)
        rows = self._mutants(pool, journal, surveys, baselines)
        labels = {(pair.subject, pair.device): baseline.labels for pair, baseline in baselines.items()}
        names = [device.name for device in self.devices]
        return Results(
            environment=environment(),
            models=tuple({**subject.identity(), "reference": subject.reference} for subject in self.subjects),
            devices=tuple(asdict(device) for device in self.devices),
            baselines=tuple(_baseline_row(baseline) for baseline in baselines.values()),
            canaries=tuple(canaries),
            mutants=tuple(rows),
            absent=tuple(_absent_rows(surveys)),
            discrepancies=tuple(find_discrepancies(rows, labels, names)),
        )

    def _pairs(self) -> list[tuple[Subject, Device]]:
        return [(subject, device) for subject in self.subjects for device in self.devices]

    def _answers(self, pool: WorkerPool, name: str, requests: Iterable[Request]) -> Iterable[tuple[Request, Any]]:
        groups: dict[Pair, list[Request]] = {}
        for request in requests:
            groups.setdefault(_pair(request), []).append(request)
        assert self.reporter is not None
        self.reporter.phase(name, sum(map(len, groups.values())))
        for request, answer in pool.answers(groups):
            self.reporter.step(_word(answer))
            yield request, answer

    def _surveys(self, pool: WorkerPool) -> dict[Pair, Survey]:
        requests = [SurveyRequest(subject, device, self.specification) for subject, device in self._pairs()]
        answers = {_pair(request): answer for request, answer in self._answers(pool, "finding sites", requests)}
        return {_pair(request): _trusted(answers[_pair(request)]) for request in requests}

    def _baselines(self, pool: WorkerPool, golden: str) -> dict[Pair, Baseline]:
        room = self._golden_bytes()
        requests = [
            BaselineRequest(subject, device, golden, _BASELINE_SECONDS, room) for subject, device in self._pairs()
        ]
        answers = {_pair(request): answer for request, answer in self._answers(pool, "unmutated builds", requests)}
        return {_pair(request): _trusted(answers[_pair(request)]) for request in requests}

    def _golden_bytes(self) -> int:
        """The room for golden values of each pair: a quarter of the machine's memory in all, or none if unused."""
        if not self.specification.by_content:
            return 0
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return memory // 4 // max(len(self._pairs()), 1)

    def _request(self, subject: Subject, device: Device, mutant: str, baseline: Baseline) -> MutantRequest:
        seconds = max(self.least_seconds, TIMES_UNMUTATED * baseline.seconds)
        return MutantRequest(subject, device, mutant, baseline, self.specification.oracle, seconds)

    def _canaries(self, pool: WorkerPool, baselines: dict[Pair, Baseline]) -> list[Row]:
        expected = {canary.mutant: canary for canary in CANARIES}
        requests = [
            self._request(subject, device, canary.mutant, baselines[Pair(subject.name, device.name)])
            for subject, device in self._pairs()
            for canary in CANARIES
        ]
        rows: dict[tuple[Pair, str], Row] = {}
        for request, answer in self._answers(pool, "canaries", requests):
            row = _trusted(answer)
            canary = expected[row["id"]]
            ok = row["verdict"] == canary.verdict
            rows[_pair(request), row["id"]] = {
                "device": row["device"],
                "model": row["model"],
                "canary": canary.name,
                "id": row["id"],
                "verdict": row["verdict"],
                "ok": ok,
                "reason": row["reason"],
            }
            if not ok:
                raise UntrustedError(
                    f"the {canary.name} canary of {row['model']} on {row['device']} came out {row['verdict']}, not "
                    f"{canary.verdict} ({row['reason']}); no verdict of this campaign could be believed"
                )
        return [rows[_pair(request), request.mutant] for request in requests]

    def _mutants(
        self, pool: WorkerPool, journal: Journal, surveys: dict[Pair, Survey], baselines: dict[Pair, Baseline]
    ) -> list[Row]:
        known = {(row["model"], row["device"], row["id"]): row for row in journal.rows()}
        wanted = [
            (subject, device, mutant)
            for subject, device in self._pairs()
            for mutant in surveys[Pair(subject.name, device.name)].mutants
        ]
        requests = [
            self._request(subject, device, mutant, baselines[Pair(subject.name, device.name)])
            for subject, device, mutant in wanted
            if (subject.name, device.name, mutant) not in known
        ]
        for request, answer in self._answers(pool, "mutants", requests):
            row = answer if isinstance(answer, dict) else self._lost(request, str(answer))
            journal.add(row)
            known[row["model"], row["device"], row["id"]] = row
        return [known[subject.name, device.name, mutant] for subject, device, mutant in wanted]

    def _lost(self, request: Request, reason: str) -> Row:
        assert isinstance(request, MutantRequest)
        catalogue = load_catalogue()
        mutant = catalogue.parse(request.mutant)
        return lost_row(mutant, request.baseline, reason, parse_oracle(request.oracle), catalogue)


def _pair(request: Request) -> Pair:
    return Pair(request.subject.name, request.device.name)


def _trusted(answer: Any) -> Any:
    if isinstance(answer, WorkerDeathError):
        raise UntrustedError(f"{answer} over an unmutated build or a canary; is there enough memory?")
    return answer


def _word(answer: Any) -> str:
    """The word under which progress counts an answer."""
    return str(answer["verdict"] or answer["outcome"]) if isinstance(answer, dict) else ""


def _baseline_row(baseline: Baseline) -> Row:
    row = asdict(baseline)
    pair = row.pop("pair")
    del row["outputs"]
    row["run_seconds"] = sum(baseline.run_seconds)
    row["golden"] = None if baseline.golden is None else baseline.golden.stored
    return {"model": pair["subject"], "device": pair["device"], **row}


def _absent_rows(surveys: dict[Pair, Survey]) -> Iterable[Row]:
    for pair, survey in surveys.items():
        for mutant, reason in survey.absent.items():
            yield {"id": mutant, "model": pair.subject, "device": pair.device, "reason": reason}

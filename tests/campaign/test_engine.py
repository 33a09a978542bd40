"""A campaign with another engine than worker processes, and the rows that the campaign makes from answers."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from tests.rows_by_hand import mutant_row, without
from tvm_mutate.campaign import Campaign, Specification, Subject, Survey
from tvm_mutate.campaign.mutant_rows import mark_duplicates
from tvm_mutate.campaign.pool import Observer, WorkerDeathError
from tvm_mutate.campaign.work_order import Job
from tvm_mutate.campaign.worker import BaselineRequest, MutantAnswer, MutantRequest, SurveyRequest, Worker
from tvm_mutate.device import parse_device
from tvm_mutate.results import MutantRow

from .conftest import campaign

MUTANTS = ("tir.swap-compare{from=gt,to=ge}@*#*", "graph.replace-activation{to=tanh}@main#*")
TIMED = ("build_seconds", "run_seconds", "kernel_seconds", "latency")


class OneThread:
    """An engine as another may be: an executor of the standard library, with the worker in a thread."""

    def __init__(self, observer: Observer) -> None:
        self._observer, self._worker = observer, Worker()
        self._executor = ThreadPoolExecutor(1)
        self.requests: list[Any] = []

    def submit(self, jobs: Iterable[Job]) -> list[Future[Any]]:
        return [self._executor.submit(self.answer, job.request) for job in jobs]

    def answer(self, request: Any) -> Any:
        self.requests.append(request)
        self._observer(0, request)
        return request.answer(self._worker)

    def __enter__(self) -> OneThread:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()


def timeless(rows: Iterable[MutantRow]) -> list[MutantRow]:
    return [without(row, TIMED) for row in rows]


def test_another_engine_replaces_the_worker_processes(subject: Subject, tmp_path: Path):
    ours = campaign(subject, tmp_path / "ours", *MUTANTS).run()
    others = campaign(subject, tmp_path / "others", *MUTANTS, engine=OneThread).run()
    assert timeless(others.mutants) == timeless(ours.mutants)
    assert others.canaries == ours.canaries


def test_the_specification_reaches_the_requests(subject: Subject, tmp_path: Path):
    engines: list[OneThread] = []

    def make(observer: Observer) -> OneThread:
        engines.append(OneThread(observer))
        return engines[0]

    specification = {"until": "killed", "precision": 0.25, "fast_kernels": False}
    options = {"specification": specification, "engine": make, "memory": 4 << 30}
    campaign(subject, tmp_path / "out", MUTANTS[0], **options).run()
    requests = engines[0].requests
    assert [type(each) for each in requests] == [SurveyRequest, BaselineRequest] + [MutantRequest] * 3
    assert requests[1].fast_kernels is False
    assert 0 < requests[1].golden_bytes < 4 << 30
    stops = {each.mutant: (each.until, each.precision) for each in requests[2:]}
    assert stops.pop(MUTANTS[0]) == ("killed", 0.25)
    assert set(stops.values()) == {("", None)}  # a canary is judged on all inputs


class Quick(OneThread):
    """Answers at once: thousands of mutants, whose rows are copies of a real one."""

    count = 4000
    row: MutantRow | None = None

    def answer(self, request: Any) -> Any:
        if isinstance(request, SurveyRequest):
            mutants = tuple(f"tir.store-through@kernel#{number}" for number in range(self.count))
            return Survey(mutants, {}, dict.fromkeys(mutants, "place"))
        if not isinstance(request, MutantRequest) or request.mutant.startswith("canary."):
            return super().answer(request)
        if request.mutant.endswith("#7"):
            raise WorkerDeathError("the worker process died with exit code -9")
        if self.row is None:
            self.row = replace(request, mutant=MUTANTS[0]).answer(self._worker).row
        return MutantAnswer(msgspec.structs.replace(self.row, id=request.mutant))


def test_a_row_costs_the_campaign_itself_less_than_two_milliseconds(subject: Subject, tmp_path: Path):
    started: list[float] = []

    class Timing(Quick):
        def submit(self, jobs: Iterable[Job]) -> list[Future[Any]]:
            jobs = list(jobs)
            if len(jobs) == self.count:
                started.append(time.thread_time())
            return super().submit(jobs)

    specification = Specification(("tir.store-through",), sites="each")
    quick = Campaign([subject], [parse_device("llvm")], specification, tmp_path / "out", engine=Timing)
    results = quick.run()
    assert (time.thread_time() - started[0]) / Quick.count < 0.002
    assert [row.id for row in results.mutants] == [f"tir.store-through@kernel#{n}" for n in range(Quick.count)]
    (lost,) = [row for row in results.mutants if row.outcome == "crash"]
    assert lost.id.endswith("#7") and "died with exit code -9" in lost.reason
    assert {row.place_digest for row in results.mutants} == {"place"}


def row(mutant: str, digest: str | None = "same", **more: Any) -> MutantRow:
    return mutant_row(**{"evaluation": "content", "id": mutant, "code_digest": digest, **more})


def test_a_duplicate_is_the_later_of_two_rows_with_one_code_on_one_model_and_device():
    rows = [
        row("a"),
        row("b", device="e"),
        row("c", model="n"),
        row("d", evaluation="rebuild"),
        row("e", verdict="equivalent"),
        row("f", outcome="timeout"),
        row("g", digest=None),
        row("h", digest="other"),
        row("i", verdict="survived"),
        row("j", device="e"),
        row("k"),
    ]
    found = {each.id: each.duplicate_of for each in mark_duplicates(rows)}
    assert {mutant: of for mutant, of in found.items() if of} == {"i": "a", "j": "b", "k": "a"}

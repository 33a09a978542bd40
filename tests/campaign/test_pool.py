"""The pool: futures, deaths, and requests as bytes. The workers are small fakes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import as_completed, wait
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.campaign import Pair, Subject
from tvm_mutate.campaign.mutant_rows import Baseline
from tvm_mutate.campaign.pool import _SENT_AHEAD_BYTES, RequestReader, RequestWriter, WorkerDeathError, WorkerPool
from tvm_mutate.campaign.work_order import Job
from tvm_mutate.campaign.worker import MutantRequest
from tvm_mutate.device import Device
from tvm_mutate.errors import UsageError

# Answers with its process id and the request; a request says what is to be done: ("die", file) dies unless the file is
# there, after making it; ("die",) always dies.
FAKE = """
import os, pathlib, sys, time
from multiprocessing.connection import Connection
from tvm_mutate.errors import UsageError
connection = Connection(int(sys.argv[1]))
while True:
    try:
        request = connection.recv()
    except EOFError:
        break
    what, *rest = request
    if what == "die" and not (rest and pathlib.Path(rest[0]).exists()):
        [pathlib.Path(each).touch() for each in rest]
        os._exit(7)
    if what == "sleep":
        time.sleep(rest[0])
    answer = ("refusal", UsageError("no")) if what == "refuse" else ("answer", (os.getpid(), request))
    connection.send(answer)
"""


def jobs_of(*requests: tuple, pair: str = "p", group: str = "g") -> list[Job]:
    return [Job(request, pair, group) for request in requests]


def alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def test_futures_get_the_answers_to_their_requests_in_any_order():
    requests = [("echo", number) for number in range(200)]
    with WorkerPool(2, program=FAKE) as pool:
        jobs = jobs_of(*requests)
        pool.submit(jobs)
        answers = {future: future.result() for future in as_completed([job.future for job in jobs])}
    assert [answers[job.future][1] for job in jobs] == requests


def test_a_worker_has_the_modules_of_its_parent_not_those_of_the_working_folder(tmp_path: Path, monkeypatch):
    (tmp_path / "tvm_mutate").mkdir()
    (tmp_path / "tvm_mutate" / "__init__.py").write_text("raise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    with WorkerPool(1, program=FAKE) as pool:
        (job,) = jobs_of(("echo", 1))
        pool.submit([job])
        assert job.future.result()[1] == ("echo", 1)


def test_an_error_of_a_worker_is_the_exception_of_one_future_only():
    with WorkerPool(1, program=FAKE) as pool:
        refused, fine = pool.submit(jobs_of(("refuse",), ("echo",)))
        with pytest.raises(UsageError, match="no"):
            refused.result(timeout=20)
        assert fine.result(timeout=20)[1] == ("echo",)


def test_a_request_over_which_a_worker_dies_once_is_answered_by_the_next_worker(tmp_path: Path):
    with WorkerPool(1, program=FAKE) as pool:
        first, second = pool.submit(jobs_of(("echo",), ("die", str(tmp_path / "died"))))
        assert second.result(timeout=20)[0] != first.result(timeout=20)[0]


def test_a_request_over_which_two_workers_die_fails_and_the_next_ones_do_not():
    requests = [("echo", 1), ("die",), ("echo", 2), ("die",), *(("echo", number) for number in range(3, 9))]
    with WorkerPool(1, program=FAKE) as pool:
        futures = pool.submit(jobs_of(*requests))
        wait(futures, timeout=60)
    assert [future.exception() is None for future in futures] == [request != ("die",) for request in requests]
    with pytest.raises(WorkerDeathError, match="died with exit code 7"):
        futures[1].result()


def test_a_busy_worker_already_has_its_next_request():
    with WorkerPool(1, program=FAKE) as pool:
        wait(pool.submit(jobs_of(("echo",))), timeout=20)
        pool.submit(jobs_of(*[("sleep", 0.2)] * 4))
        deadline = time.monotonic() + 5
        while len(pool._processes[0].jobs) < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert len(pool._processes[0].jobs) == 2


def test_requests_and_answers_larger_than_any_buffer_do_not_block_each_other():
    large = "x" * 3_000_000
    with WorkerPool(1, program=FAKE) as pool:
        futures = pool.submit(jobs_of(*[("echo", large, number) for number in range(6)]))
        assert not wait(futures, timeout=60).not_done


def test_a_worker_that_is_killed_while_idle_is_replaced():
    with WorkerPool(1, program=FAKE) as pool:
        wait(pool.submit(jobs_of(("echo",))), timeout=20)
        psutil.Process().children()[0].kill()
        (future,) = pool.submit(jobs_of(("echo",)))
        assert future.result(timeout=20)[1] == ("echo",)


def test_both_workers_get_about_half_of_the_groups_of_one_pair():
    with WorkerPool(2, program=FAKE) as pool:
        wait(pool.submit([Job(("echo",), str(worker)) for worker in range(2)]), timeout=20)  # both have started
        jobs = [Job(("sleep", 0.01, group), "p", group) for group in range(12) for _ in range(3)]
        pool.submit(jobs)
        by_worker: dict[int, Counter] = {}
        for job in jobs:
            process, (_, _, group) = job.future.result(timeout=60)
            by_worker.setdefault(process, Counter())[group] += 1
    assert len(by_worker) == 2
    for groups in by_worker.values():
        assert 4 <= len(groups) <= 8
    shared = set.intersection(*map(set, by_worker.values()))
    assert len(shared) <= 1  # the last one may be shared out


def test_nothing_outlives_the_pool_and_what_is_unanswered_is_cancelled():
    others = {each.pid for each in psutil.Process().children()}  # of fixtures of other tests
    with WorkerPool(2, program=FAKE) as pool:
        futures = pool.submit(jobs_of(*[("sleep", 60)] * 6))
        processes = [each.pid for each in psutil.Process().children() if each.pid not in others]
        assert len(processes) >= 2
        assert all(map(alive, processes))
    assert not any(map(alive, processes))
    assert not any(future.done() and not future.cancelled() and future.exception() is None for future in futures)
    assert "worker pool" not in {thread.name for thread in threading.enumerate()}


def test_an_observer_gets_the_current_request_of_each_worker():
    heard: list[tuple] = []
    with WorkerPool(1, lambda worker, request: heard.append((worker, request)), FAKE) as pool:
        wait(pool.submit(jobs_of(("echo", 1), ("echo", 2))), timeout=20)
        deadline = time.monotonic() + 5
        while len(heard) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
    assert [request for _, request in heard if request] == [("echo", 1), ("echo", 2)]
    assert heard[-1] == (0, None)


def test_an_error_in_the_pool_itself_reaches_the_caller():
    def broken(_worker: int, _request: object) -> None:
        raise ZeroDivisionError

    with WorkerPool(1, broken, FAKE) as pool:
        (future,) = pool.submit(jobs_of(("echo",)))
        with pytest.raises(ZeroDivisionError):
            future.result(timeout=20)
        with pytest.raises(ZeroDivisionError):
            pool.submit(jobs_of(("echo",)))


INPUTS = 50_000
LLVM = Device("llvm", "llvm")
# Answers with what it has read of a request; dies once over the mutant "die", which the file then remembers.
READING = """
import os, pathlib, sys
from multiprocessing.connection import Connection
from tvm_mutate.campaign.pool import RequestReader
connection, reader = Connection(int(sys.argv[1])), RequestReader()
while True:
    try:
        request = reader.read(connection.recv_bytes())
    except EOFError:
        break
    if request.mutant == "die" and not pathlib.Path(request.baseline.oracles[0]).exists():
        pathlib.Path(request.baseline.oracles[0]).touch()
        os._exit(7)
    baseline = request.baseline
    connection.send(("answer", (os.getpid(), request.mutant, baseline.pair.subject, sum(baseline.labels))))
"""


def made(name: str, inputs: int = 3) -> tuple[Subject, Baseline]:
    labels = tuple(range(inputs))
    subject = Subject(name, f"{name}.onnx", "ab", f"{name}.npy", "cd", inputs, labels)
    times = tuple(0.5 + each for each in labels)
    return subject, Baseline(Pair(name, "llvm"), "ef", "golden.npy", labels, 1.0, 2.0, times, 0.0, True)


def request_of(pair: tuple[Subject, Baseline], mutant: str, *oracles: str) -> MutantRequest:
    subject, baseline = pair
    baseline = replace(baseline, oracles=oracles) if oracles else baseline
    return MutantRequest(subject, LLVM, mutant, baseline, 20.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["send", "send", "keep back", "die"])), max_size=30))
def test_a_request_reads_back_equal_after_unsent_requests_and_new_workers(events):
    pairs = {name: made(name) for name in "abc"}
    writer, reader = RequestWriter(), RequestReader()
    for number, (name, event) in enumerate(events):
        request = request_of(pairs[name], str(number))
        content = writer.write(request)
        if event == "keep back":
            continue
        if event == "die":
            writer, reader = RequestWriter(), RequestReader()
            content = writer.write(request)
        writer.sent()
        assert reader.read(content) == request


def test_only_the_first_request_of_a_pair_grows_with_the_inputs():
    pair = made("network", INPUTS)
    writer = RequestWriter()
    first = writer.write(request_of(pair, "first"))
    assert len(first) > INPUTS
    writer.sent()
    assert len(writer.write(request_of(pair, "second"))) < 1000 < _SENT_AHEAD_BYTES


def test_two_requests_of_a_pair_are_read_with_one_baseline():
    pair = made("network")
    writer, reader = RequestWriter(), RequestReader()
    baselines = []
    for mutant in ("first", "second"):
        content = writer.write(request_of(pair, mutant))
        writer.sent()
        baselines.append(reader.read(content).baseline)
    assert baselines[0] is baselines[1]


@pytest.mark.parametrize("dying", [1, 2], ids=["over a pair that it knows", "over a new pair"])
def test_a_worker_that_replaces_a_dead_one_gets_all_baselines(tmp_path: Path, dying: int):
    pairs = [made("a", INPUTS), made("b", INPUTS + 1)]
    mutants = [
        (pair, "die" if 2 * number + at == dying else str(at)) for number, pair in enumerate(pairs) for at in (0, 1)
    ]
    jobs = [Job(request_of(pair, mutant, str(tmp_path / "died")), pair[0].name) for pair, mutant in mutants]
    with WorkerPool(1, program=READING) as pool:
        assert not wait(pool.submit(jobs), timeout=60).not_done
    answers = [job.future.result() for job in jobs]
    assert [answer[1:] for answer in answers] == [
        (mutant, subject.name, sum(baseline.labels)) for (subject, baseline), mutant in mutants
    ]
    assert len({process for process, *_ in answers}) == 2

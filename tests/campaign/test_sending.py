"""Requests as bytes: equal at the other end, and small however many inputs there are."""

from __future__ import annotations

from concurrent.futures import wait
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.campaign import Pair, Subject
from tvm_mutate.campaign.mutant_rows import Baseline
from tvm_mutate.campaign.pool import _SENT_AHEAD_BYTES, RequestReader, RequestWriter, WorkerPool
from tvm_mutate.campaign.work_order import Job
from tvm_mutate.campaign.worker import MutantRequest
from tvm_mutate.device import Device

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
    if request.mutant == "die" and not pathlib.Path(request.oracle).exists():
        pathlib.Path(request.oracle).touch()
        os._exit(7)
    baseline = request.baseline
    connection.send(("answer", (os.getpid(), request.mutant, baseline.pair.subject, sum(baseline.labels))))
"""


def made(name: str, inputs: int = 3) -> tuple[Subject, Baseline]:
    labels = tuple(range(inputs))
    subject = Subject(name, f"{name}.onnx", "ab", f"{name}.npy", "cd", inputs, labels)
    times = tuple(0.5 + each for each in labels)
    return subject, Baseline(Pair(name, "llvm"), "ef", "golden.npy", labels, 1.0, 2.0, times, 0.0, True)


def request_of(pair: tuple[Subject, Baseline], mutant: str, oracle: str = "top-1") -> MutantRequest:
    subject, baseline = pair
    return MutantRequest(subject, LLVM, mutant, baseline, oracle, 20.0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["send", "send", "keep back", "die"])), max_size=30))
def test_what_is_read_is_what_was_written_whatever_is_kept_back_and_whoever_dies(events):
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


@pytest.mark.parametrize("dying", range(4))
def test_a_worker_that_takes_the_place_of_a_dead_one_knows_all_baselines_that_it_needs(tmp_path: Path, dying: int):
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
    assert len({process for process, *_ in answers}) == (1 if dying == 0 else 2)

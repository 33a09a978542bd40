"""Children and sessions for many requests: their state and their replacement."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import tvm

from tvm_mutate.device import (
    EndingKind,
    PersistentChild,
    PersistentSession,
    RemoteTasks,
    demand_for,
    parse_device,
    tasks,
)
from tvm_mutate.device.session import connect

SECONDS = 20.0


def counting(stage):
    """Answers with how many requests there were; some requests do worse."""
    count = 0

    def answer(stage, request):
        nonlocal count
        stage("run", request)
        count += 1
        if request == "crash":
            os.write(2, b"so long\n")
            ctypes.string_at(0)
        if request == "hang":
            time.sleep(600)
        if request == "raise":
            raise ValueError("no")
        return count, os.getpid()

    return answer


@contextlib.contextmanager
def persistent_child() -> Iterator[PersistentChild]:
    child = PersistentChild(counting)
    try:
        yield child
    finally:
        child.close()


def test_a_persistent_child_keeps_its_state_between_requests():
    with persistent_child() as child:
        endings = [child.ask("count", SECONDS) for _ in range(3)]
    assert [ending.value[0] for ending in endings] == [1, 2, 3]
    assert len({ending.value[1] for ending in endings}) == 1
    assert [(ending.kind, ending.stage, ending.note) for ending in endings] == [("finished", "run", "count")] * 3


def test_an_exception_ends_the_request_and_not_the_child():
    with persistent_child() as child:
        child.ask("count", SECONDS)
        ending = child.ask("raise", SECONDS)
        assert (ending.kind, ending.reason) == ("raised", "ValueError: no")
        assert child.ask("count", SECONDS).value[0] == 3


@pytest.mark.parametrize(
    ("request_", "kind", "reason"), [("crash", "died", "SIGSEGV"), ("hang", "timed out", "no end")]
)
def test_a_request_that_kills_the_child_is_blamed_and_the_next_gets_a_new_child(request_: str, kind: str, reason: str):
    with persistent_child() as child:
        child.ask("count", SECONDS)
        ending = child.ask(request_, 1.0)
        assert (ending.kind, ending.stage, ending.note) == (kind, "run", request_)
        assert ending.reason.startswith(reason)
        assert child.ask("count", SECONDS).value[0] == 1


def test_an_idle_child_that_was_killed_is_replaced():
    with persistent_child() as child:
        _, process = child.ask("count", SECONDS).value
        os.kill(process, signal.SIGKILL)
        ending = child.ask("count", SECONDS)
    assert (ending.kind, ending.value[0]) == ("finished", 1)


def test_a_child_that_keeps_too_much_memory_is_replaced():
    def keeping(stage):
        kept = []

        def answer(stage, request):
            kept.append(b"x" * request)
            return len(kept), os.getpid()

        return answer

    child = PersistentChild(keeping, most_kept_bytes=100 << 20)
    endings = [child.ask(size << 20, SECONDS) for size in (60, 10, 60, 10)]
    child.close()
    assert [ending.value[0] for ending in endings] == [1, 2, 3, 1]
    assert len({ending.value[1] for ending in endings}) == 2


def test_each_request_has_its_own_time_limit():
    def work(stage):
        def answer(stage, seconds):
            until = time.process_time() + seconds
            while time.process_time() < until:
                pass

        return answer

    child = PersistentChild(work)
    assert [child.ask(0.8, 2.0).kind for _ in range(4)] == ["finished"] * 4
    assert child.ask(60.0, 2.0).kind == "timed out"


def remembering(stage, session):
    """Answers with all that it was told in one session, which is kept on the device."""
    device = session.open()
    told: list[tvm.runtime.Tensor] = []

    def answer(stage, request):
        stage("run")
        told.append(tvm.runtime.tensor([float(request)], device))
        values = [tensor.numpy().tolist()[0] for tensor in told]
        if request == 13 and len(values) > 1:
            raise RuntimeError("harmed")
        return values

    return answer


@pytest.fixture
def persistent_session(device_servers) -> Iterator[PersistentSession]:
    device_servers.start()
    opened = PersistentSession(parse_device(device_servers.device()), remembering, "run", RemoteTasks())
    yield opened
    opened.close()


def session_of(server) -> psutil.Process:
    (child,) = psutil.Process(server.pid).children()
    return child


def test_a_session_keeps_its_tensors_on_the_device(persistent_session: PersistentSession, device_servers):
    assert persistent_session.ask(1, SECONDS).value == [1.0]
    served = session_of(device_servers.servers[0]).pid
    assert persistent_session.ask(2, SECONDS).value == [1.0, 2.0]
    assert session_of(device_servers.servers[0]).pid == served


def test_a_session_that_was_killed_is_opened_again_and_the_request_answered(
    persistent_session: PersistentSession, device_servers
):
    persistent_session.ask(1, SECONDS)
    session_of(device_servers.servers[0]).kill()
    ending = persistent_session.ask(2, SECONDS)
    assert (ending.kind, ending.value) == ("finished", [2.0])


def test_a_session_that_its_server_ended_because_of_its_age_is_renewed(device_servers):
    device_servers.start("--longest", "3")
    opened = PersistentSession(parse_device(device_servers.device()), remembering, "run", RemoteTasks())
    assert opened.ask(1, SECONDS).value == [1.0]
    while "ended after" not in device_servers.log(0).read_text():
        time.sleep(0.1)
    assert opened.ask(2, SECONDS).value == [2.0]
    opened.close()


def test_a_session_is_renewed_before_its_time_is_over(device_servers):
    device_servers.start()
    text = device_servers.device() + "&session_timeout=30"
    opened = PersistentSession(parse_device(text), remembering, "run", RemoteTasks())
    opened.ask(1, SECONDS)
    opened._since -= 16
    assert opened.ask(2, SECONDS).value == [2.0]
    opened.close()


def test_a_request_that_fails_after_a_harmful_one_is_tried_again_in_a_new_session(
    persistent_session: PersistentSession,
):
    persistent_session.ask(1, SECONDS)
    assert persistent_session.ask(13, SECONDS).kind == "raised"
    persistent_session.ask(2, SECONDS, harmful=True)
    assert persistent_session.ask(13, SECONDS).value == [13.0]


def test_a_session_is_given_back_when_its_turn_is_over_and_another_waits(
    persistent_session: PersistentSession, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tasks, "_TURN_SECONDS", 0.0)
    persistent_session.ask(1, SECONDS)
    persistent_session.close_if_wanted()
    assert persistent_session.is_open  # nobody waits
    device = persistent_session.device
    with ThreadPoolExecutor() as pool:
        other = pool.submit(connect, device, SECONDS, SECONDS)
        while not demand_for(device).waiting:
            time.sleep(0.05)
        persistent_session.close_if_wanted()
        assert not persistent_session.is_open
        assert other.result().cpu(0) is not None


def test_an_absent_device_is_lost_for_a_session(device_servers):
    opened = PersistentSession(parse_device(device_servers.device(patience=1)), remembering, "run", RemoteTasks())
    ending = opened.ask(1, SECONDS)
    assert ending.kind == EndingKind.LOST
    assert device_servers.key in ending.reason

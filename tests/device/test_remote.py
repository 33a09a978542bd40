"""Tasks on remote devices: failed, repeated, or on a lost device."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from pathlib import Path

import psutil
import pytest
import tvm

from tvm_mutate.device import EndingKind, RemoteTasks, parse_device, why_absent, why_no_session

SECONDS = 20.0


def kill_session(server) -> None:
    """Kills the session of a server, as somebody might who is short of memory."""
    for child in psutil.Process(server.pid).children():
        child.kill()


def doubled(remote) -> list[float]:
    """What a device makes of three numbers that go there and come back."""
    device = remote.open()
    return (2 * tvm.runtime.tensor([1.0, 2.0, 3.0], device).numpy()).tolist()


def test_a_task_runs_on_the_device_and_its_value_comes_back(device_servers):
    device_servers.start()
    ending = RemoteTasks().run(
        parse_device(device_servers.device()), lambda stage, remote: doubled(remote), "run", SECONDS
    )
    assert (ending.kind, ending.value) == ("finished", [2.0, 4.0, 6.0])


def test_a_connection_that_broke_is_made_again(device_servers, tmp_path: Path):
    server = device_servers.start()

    def task(stage, remote):
        device = remote.open()
        if not (tmp_path / "broken").exists():
            (tmp_path / "broken").touch()
            kill_session(server)
        return tvm.runtime.tensor([1.0], device).numpy().tolist()

    ending = RemoteTasks().run(parse_device(device_servers.device()), task, "run", SECONDS)
    assert (ending.kind, ending.value) == ("finished", [1.0])
    assert (tmp_path / "broken").exists()


def test_three_broken_connections_are_the_fault_of_the_task(device_servers, tmp_path: Path):
    server = device_servers.start()

    def task(stage, remote):
        device = remote.open()
        (tmp_path / f"{os.getpid()}.attempt").touch()
        kill_session(server)
        return tvm.runtime.tensor([1.0], device).numpy().tolist()

    ending = RemoteTasks().run(parse_device(device_servers.device()), task, "run", SECONDS)
    assert ending.kind == "died"
    assert ending.reason.startswith("the connection broke 3 times")
    assert len(list(tmp_path.glob("*.attempt"))) == 3
    assert why_no_session(parse_device(device_servers.device())) == ""


def test_an_error_of_the_program_is_no_break_of_the_session(device_servers):
    device_servers.start()

    def task(stage, remote):
        remote.open()
        return remote.load(Path(__file__))  # no library at all

    ending = RemoteTasks().run(parse_device(device_servers.device()), task, "run", SECONDS)
    assert ending.kind == "raised"


def test_an_absent_device_is_lost_until_it_comes_back(device_servers):
    tasks, device = RemoteTasks(), parse_device(device_servers.device(patience=1))
    for _ in range(2):
        ending = tasks.run(device, lambda stage, remote: doubled(remote), "run", SECONDS)
        assert ending.kind == EndingKind.LOST
        assert ending.reason == (
            f"device board: the tracker at {device_servers.tracker} has no server of the key '{device_servers.key}'"
        )
    device_servers.start()
    assert why_no_session(device, patience=60) == ""
    assert tasks.run(device, lambda stage, remote: doubled(remote), "run", SECONDS).value == [2.0, 4.0, 6.0]


def test_a_frozen_server_is_lost_after_a_limited_time(device_servers):
    server = device_servers.start()
    device = parse_device(device_servers.device(patience=0.5))
    assert why_no_session(device, patience=60) == ""
    server.send_signal(signal.SIGSTOP)
    ending = RemoteTasks().run(device, lambda stage, remote: doubled(remote), "run", SECONDS)
    server.send_signal(signal.SIGCONT)
    assert ending.kind == EndingKind.LOST
    assert "became free" in ending.reason or "said nothing" in ending.reason


def test_a_missing_tracker_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    device = parse_device(f"board=rpc://127.0.0.1:{port}/k?target=llvm")
    assert why_absent(device).startswith(f"device board: no tracker answers at 127.0.0.1:{port}")


@pytest.mark.parametrize("answer", [b"HTTP/1.0 400 Bad Request\r\n\r\n", b"\x71\xf2\x02\x00\x02\x00\x00\x00[]"])
def test_a_server_that_is_no_tracker_is_reported(answer: bytes):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def serve() -> None:
            connection, _ = other.accept()
            with connection, contextlib.suppress(ConnectionResetError):
                connection.sendall(answer)
                while connection.recv(100):
                    pass

        threading.Thread(target=serve, daemon=True).start()
        port = other.getsockname()[1]
        reason = why_absent(parse_device(f"board=rpc://127.0.0.1:{port}/k?target=llvm"))
    assert reason == f"device board: 127.0.0.1:{port} is not TVM's tracker"


def test_a_task_that_hangs_on_the_device_has_timed_out_only_if_the_device_answers_afterwards(device_servers):
    server = device_servers.start()
    device = parse_device(device_servers.device(patience=1))
    assert why_no_session(device, patience=60) == ""

    def wait(stage, remote, then):
        remote.open()
        stage("run")
        then()
        time.sleep(600)

    ending = RemoteTasks().run(device, lambda stage, remote: wait(stage, remote, lambda: None), "run", 0.5)
    assert (ending.kind, ending.stage) == ("timed out", "run")

    def kill() -> None:
        os.kill(server.pid, signal.SIGKILL)

    ending = RemoteTasks().run(device, lambda stage, remote: wait(stage, remote, kill), "run", 0.5)
    assert ending.kind == EndingKind.LOST


def test_a_task_that_hangs_before_it_needs_the_device_has_timed_out(device_servers):
    device = parse_device(device_servers.device(patience=1))

    def task(stage, remote):
        stage("compile")
        time.sleep(600)

    ending = RemoteTasks().run(device, task, "run", 0.5)
    assert (ending.kind, ending.stage) == ("timed out", "compile")

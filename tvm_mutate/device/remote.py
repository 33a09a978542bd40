"""Sessions on remote devices: TVM's RPC, found through its tracker, and told apart how such a session can end.

Everything here can wait for a device, and so belongs into a child process with a limit of time.
"""

from __future__ import annotations

import contextlib
import queue
import re
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tvm
from tvm import rpc
from tvm.error import RPCError, RPCSessionTimeoutError
from tvm.rpc import base

from tvm_mutate.device.device import Device
from tvm_mutate.device.isolation import EndingKind
from tvm_mutate.errors import MutateError
from tvm_mutate.server import DEATH

# A device that never gets free is lost after so many times what it is waited for when it has gone.
_QUEUE = 10.0
_TICK_SECONDS = 0.5
# What ends a process for what it did; other signals are sent by somebody.
_OF_ITS_OWN = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")
_DIED = re.compile(re.escape(DEATH) + r" (SIG\w+)")


class DeviceLostError(MutateError):
    """A device that does not answer, in one sentence."""


@dataclass(frozen=True)
class Break:
    """How a session ended early, and why; ``kind`` is None if either the device or the mutant broke the connection."""

    kind: EndingKind | None
    reason: str


class Remote:
    """A session on a remote device, opened when it is first needed.

    ``seconds`` is how long the server is to keep it up, ``patience`` how long a device that is not there is waited for,
    and ``sign_of_life`` is called while it is waited for.
    """

    def __init__(self, device: Device, seconds: float, patience: float, sign_of_life: Callable[[], object]) -> None:
        self._device, self._seconds, self._patience = device, seconds, patience
        self._sign_of_life = sign_of_life
        self._session: rpc.RPCSession | None = None

    def open(self) -> tvm.runtime.Device:
        """The device in a new session; raises DeviceLostError where there is none to be had."""
        seconds = self._device.session_timeout or self._seconds
        self._session = connect(self._device, seconds, self._patience, self._sign_of_life)
        return self._session.device(self._device.kind)

    def load(self, library: Path) -> tvm.runtime.Module:
        """A shared library, loaded there; under a new name, because one that is loaded must not be written over."""
        assert self._session is not None
        name = f"{uuid.uuid4().hex}.so"
        self._session.upload(bytearray(library.read_bytes()), name)
        module = self._session.load_module(name)
        with contextlib.suppress(Exception):  # a server on which what is loaded cannot be removed keeps it to the end
            self._session.remove(name)
        return module

    def break_of(self, error: Exception) -> Break | None:
        """What an error says of the session; None where it is an error of the program, and the session is well."""
        if isinstance(error, DeviceLostError):
            return Break(EndingKind.LOST, str(error))
        if self._session is None:
            return None
        if isinstance(error, RPCSessionTimeoutError):
            return Break(EndingKind.TIMED_OUT, "the server ended the session at its time limit")
        died = _DIED.search(str(error))
        if died:
            return Break(EndingKind.DIED if died[1] in _OF_ITS_OWN else None, f"{died[1]} on {self._device.name}")
        return None if isinstance(error, RPCError) or self._is_well() else Break(None, last_line(error))

    def _is_well(self) -> bool:
        assert self._session is not None
        with contextlib.suppress(Exception):
            self._session.get_function("tvm.rpc.server.workpath")(".")  # every server has it
            return True
        return False


def connect(
    device: Device, seconds: float, patience: float, sign_of_life: Callable[[], object] = lambda: None
) -> rpc.RPCSession:
    """A session that the server ends after so many seconds; waits for one while others use the device.

    Raises DeviceLostError where the tracker has no server of the key for as long as ``patience``, in seconds, or none
    becomes free for ten times as long (at least ten times the device's own patience).
    """
    host, port, key = address_of(device)
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    started = offered = time.monotonic()
    asking: threading.Thread | None = None
    while True:
        if asking is None:
            asking = threading.Thread(target=_ask, args=(host, port, key, seconds, answers), daemon=True)
            asking.start()
        with contextlib.suppress(queue.Empty):
            answer = answers.get(timeout=_TICK_SECONDS)
            if isinstance(answer, rpc.RPCSession):
                return answer
            asking = None
            time.sleep(_TICK_SECONDS)
        sign_of_life()
        absence = why_absent(device)
        if not absence:
            offered = time.monotonic()
        elif time.monotonic() - offered > patience:
            raise DeviceLostError(absence)
        if time.monotonic() - started > _QUEUE * max(patience, device.patience):
            raise DeviceLostError(f"device {device.name}: no server of {key!r} at {host}:{port} became free")


def address_of(device: Device) -> tuple[str, int, str]:
    """The tracker's host and port, and the key, of a remote device."""
    address = urlsplit(device.session)
    assert address.hostname and address.port
    return address.hostname, address.port, address.path.strip("/")


def why_absent(device: Device) -> str:
    """Why the device is not there now, as a sentence; empty where its tracker has a server of its key, free or not."""
    summary = _summary(device)
    if isinstance(summary, str):
        return summary
    host, port, key = address_of(device)
    if any(each.get("key") == f"server:{key}" for each in summary["server_info"]):
        return ""
    return f"device {device.name}: the tracker at {host}:{port} has no server of the key {key!r}"


@dataclass(frozen=True)
class Demand:
    """How many servers of a device's key are free now, and how many clients wait for one."""

    free: int
    waiting: int


def demand_for(device: Device) -> Demand:
    """The demand for a remote device, as its tracker tells it; none where that does not answer."""
    summary = _summary(device)
    line = {} if isinstance(summary, str) else summary["queue_info"].get(address_of(device)[2], {})
    return Demand(int(line.get("free", 0)), int(line.get("pending", 0)))


def _summary(device: Device) -> dict[str, Any] | str:
    """What the tracker of a device says of its servers and clients, or why it says nothing, as a sentence."""
    host, port, _ = address_of(device)
    try:
        with socket.create_connection((host, port), timeout=_TICK_SECONDS) as connection:
            connection.sendall(struct.pack("<i", base.RPC_TRACKER_MAGIC))
            if base.recvall(connection, 4) != struct.pack("<i", base.RPC_TRACKER_MAGIC):
                return f"device {device.name}: {host}:{port} is not TVM's tracker"
            base.sendjson(connection, [base.TrackerCode.SUMMARY])
            _, summary = base.recvjson(connection)
            return dict(summary)
    except OSError as error:
        return f"device {device.name}: no tracker answers at {host}:{port} ({error.strerror or error})"
    except (ValueError, TypeError, struct.error):
        return f"device {device.name}: {host}:{port} is not TVM's tracker"


def _ask(host: str, port: int, key: str, seconds: float, answers: queue.SimpleQueue[Any]) -> None:
    """Puts a session into ``answers`` when the tracker has a free server, or the error in place of one."""
    try:
        answers.put(rpc.connect_tracker(host, port).request(key, session_timeout=seconds, max_retry=1))
    except Exception as error:
        answers.put(error)


def last_line(error: Exception) -> str:
    """The last line of what an error says: TVM puts its own place before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__

"""Sessions on devices: on this machine, or on a remote device over TVM's RPC, found through a tracker.

A remote device may have to be waited for, so its sessions belong into a child process with a time limit.
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

# A device that stays busy is lost after this many times the wait for a device that is absent.
_QUEUE = 10.0
_TICK_SECONDS = 0.5
# Signals by which a process causes its own death; other signals come from outside.
_OWN_SIGNALS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT")
_DIED = re.compile(re.escape(DEATH) + r" (SIG\w+)")


class DeviceLostError(MutateError):
    """A device does not answer; the message is one sentence."""


@dataclass(frozen=True)
class SessionFailure:
    """How a session ended early, and why; ``kind`` is None if either the device or the mutant broke the connection."""

    kind: EndingKind | None
    reason: str


class LocalSession:
    """The use of a device of this machine by one process, whose parent must not have opened the device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._runtime: tvm.runtime.Device | None = None

    def open(self) -> tvm.runtime.Device:
        """The device; raises UsageError if nothing on this machine runs code for its target."""
        self._runtime = self._device.runtime()
        return self._runtime

    def load(self, library: Path) -> tvm.runtime.Module:
        """Loads a shared library into this process."""
        return tvm.runtime.load_module(str(library))

    def failure_of(self, error: Exception) -> SessionFailure | None:
        """A death if the device does not work after the error (an illegal access on a GPU), else None."""
        if self._runtime is None:
            return None
        try:
            self._runtime.sync()
        except Exception:
            return SessionFailure(EndingKind.DIED, f"{_last_line(error)} on {self._device.name}")
        return None


class RemoteSession:
    """A session on a remote device.

    The server ends the session after ``seconds``. Opening waits ``patience`` seconds for an absent device, and calls
    ``sign_of_life`` while it waits.
    """

    def __init__(self, device: Device, seconds: float, patience: float, sign_of_life: Callable[[], object]) -> None:
        self._device, self._seconds, self._patience = device, seconds, patience
        self._sign_of_life = sign_of_life
        self._session: rpc.RPCSession | None = None

    def open(self) -> tvm.runtime.Device:
        """Connects and gives the device; raises DeviceLostError if there is no server for it."""
        seconds = self._device.session_timeout or self._seconds
        self._session = connect(self._device, seconds, self._patience, self._sign_of_life)
        return self._session.device(self._device.kind)

    def load(self, library: Path) -> tvm.runtime.Module:
        """Loads a shared library on the device, under a new name: a loaded file must not be overwritten."""
        assert self._session is not None
        name = f"{uuid.uuid4().hex}.so"
        self._session.upload(bytearray(library.read_bytes()), name)
        module = self._session.load_module(name)
        with contextlib.suppress(Exception):  # some servers cannot remove a loaded file before the session ends
            self._session.remove(name)
        return module

    def failure_of(self, error: Exception) -> SessionFailure | None:
        """How an error ended the session; None if the program caused the error and the session still works."""
        if isinstance(error, DeviceLostError):
            return SessionFailure(EndingKind.LOST, str(error))
        if self._session is None:
            return None
        if isinstance(error, RPCSessionTimeoutError):
            return SessionFailure(EndingKind.TIMED_OUT, "the server ended the session at its time limit")
        died = _DIED.search(str(error))
        if died:
            kind = EndingKind.DIED if died[1] in _OWN_SIGNALS else None
            return SessionFailure(kind, f"{died[1]} on {self._device.name}")
        if isinstance(error, RPCError) or self._works():
            return None
        return SessionFailure(None, _last_line(error))

    def _works(self) -> bool:
        assert self._session is not None
        with contextlib.suppress(Exception):
            self._session.get_function("tvm.rpc.server.workpath")(".")  # every server has this function
            return True
        return False


Session = LocalSession | RemoteSession


def connect(
    device: Device, seconds: float, patience: float, sign_of_life: Callable[[], object] = lambda: None
) -> rpc.RPCSession:
    """A session that the server ends after ``seconds``; waits while other clients use the device.

    Raises DeviceLostError if the tracker has no server of the key for ``patience`` seconds, or no server becomes free
    for ten times as long (at least ten times the device's own patience).
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
    """Why the device is absent, as a sentence; empty if its tracker has a server of its key, free or busy."""
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
    """The demand for a remote device according to its tracker; none if the tracker does not answer."""
    summary = _summary(device)
    line = {} if isinstance(summary, str) else summary["queue_info"].get(address_of(device)[2], {})
    return Demand(int(line.get("free", 0)), int(line.get("pending", 0)))


def _summary(device: Device) -> dict[str, Any] | str:
    """The servers and clients that the tracker of a device lists, or why it lists none, as a sentence."""
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
    """Waits for a free server and puts a session, or the error, into ``answers``."""
    try:
        answers.put(rpc.connect_tracker(host, port).request(key, session_timeout=seconds, max_retry=1))
    except Exception as error:
        answers.put(error)


def _last_line(error: Exception) -> str:
    """The last line of an error's message: the lines before it are TVM's traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__

"""Serves this machine as a device over TVM's RPC, and survives crashes of the kernels that it runs.

Protocol, tracker and engine are TVM's own (``tvm.rpc``). Only the session differs: it runs in a child process that may
segfault, hang or lose its client. Afterwards the server listens again and registers with the tracker; TVM's own server
stops listening when a session dies. This file needs only the standard library and TVM's run time, so it can be copied
to a device and run there: ``python serving.py --tracker HOST:PORT --key KEY``.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import ipaddress
import logging
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tvm.rpc import server as tvm_server
from tvm.support import utils

LOOPBACK = "127.0.0.1"
# The beginning of the error for the client of a session whose process died; the name of the signal follows.
DEATH = "the process of the session died of"
NO_AUTHENTICATION = (
    "warning: TVM RPC has no authentication: anybody who reaches {host} can run any code as this user; "
    "listen there only in a trusted network"
)
_FOLDERS = "tvm_mutate-server-"
_PR_SET_PDEATHSIG = 1
# A client that connects and sends nothing must not block other clients.
_HANDSHAKE_SECONDS = 10.0
_PAUSE_SECONDS = 1.0
# The time in which a session may notice that its client has disconnected.
_FAREWELL_SECONDS = 1.0
_HANG_UP = getattr(select, "POLLRDHUP", select.POLLHUP)  # only Linux has the former
_FATAL_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)

logger = logging.getLogger("RPCServer")  # TVM's own


class DeviceServer:
    """A server on ``host`` and a free port from ``port`` to ``port_end``, for a ``key`` of the ``tracker`` if given.

    ``announced`` is the address that the tracker gives to clients; the default is the address that the tracker sees.
    ``longest_seconds`` limits the length of every session.
    """

    def __init__(
        self,
        host: str = LOOPBACK,
        port: int = 9091,
        port_end: int = 9199,
        *,
        tracker: tuple[str, int] | None = None,
        key: str = "",
        announced: str | None = None,
        longest_seconds: float | None = None,
    ) -> None:
        self._tracker, self._key, self._announced = tracker, key, announced
        self._longest = longest_seconds
        self._socket = _listening(host, port, port_end)
        self.host, self.port = host, int(self._socket.getsockname()[1])

    def serve(self) -> NoReturn:
        """Serves one session after another, forever."""
        socket.setdefaulttimeout(_HANDSHAKE_SECONDS)
        with _folder() as folder:
            tvm_server._serving = lambda *arguments: self._session(folder, *arguments)
            while True:
                try:
                    tvm_server._listen_loop(self._socket, self.port, self._key, self._tracker, None, self._announced)
                except Exception as error:  # a wrong message of one client or the tracker must not stop the server
                    logger.warning("%s: %s; going on", type(error).__name__, error)
                    time.sleep(_PAUSE_SECONDS)

    def _session(
        self, folder: Path, connection: socket.socket, address: Any, options: dict[str, float], libraries: str | None
    ) -> None:
        """Runs one session to its end; replaces TVM's own function."""
        logger.info("session of %s begins", address)
        limits = [each for each in (options.get("timeout"), self._longest) if each]
        own_folder = Path(tempfile.mkdtemp(dir=folder))
        connection.setblocking(True)
        alive, theirs = os.pipe()
        try:
            sys.stderr.flush()
            child = os.fork()
            if child == 0:
                os.close(alive)
                self._socket.close()
                _be_session(connection, own_folder, libraries)
            os.close(theirs)
            end = _watched(child, connection, alive, min(limits, default=None))
            logger.info("session of %s ended: %s", address, end or "closed")
            if end:
                _tell(connection, end)
        finally:
            os.close(alive)
            connection.close()
            shutil.rmtree(own_folder, ignore_errors=True)


def _listening(host: str, port: int, port_end: int) -> socket.socket:
    """A socket that listens on the first free port; raises OSError if there is none."""
    for each in range(port, max(port_end, port + 1)):
        with contextlib.suppress(OSError) if each + 1 < port_end else contextlib.nullcontext():
            return socket.create_server((host, each), family=tvm_server.base.get_addr_family((host, each)))
    raise OSError(f"no free port from {port} to {port_end}")


def _be_session(connection: socket.socket, folder: Path, libraries: str | None) -> NoReturn:
    code = 1
    try:
        os.setpgid(0, 0)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (*_FATAL_SIGNALS, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # TVM's own handlers print a backtrace and are slow
        socket.setdefaulttimeout(None)
        os.chdir(folder)
        tempfile.tempdir = str(folder)
        tvm_server._serve_loop(connection, libraries, utils.TempDirectory(str(folder / "uploaded")))
        code = 0
    except BaseException as error:
        logger.warning("session: %s: %s", type(error).__name__, error)
    finally:
        os._exit(code)


def _watched(child: int, connection: socket.socket, alive: int, seconds: float | None) -> str:
    """Waits for the end of a session; the error for the client, empty if there is none or the client has disconnected.

    Kills the process group of the session at the end. ``alive`` is a pipe that closes when the child ends.
    """
    watch = select.poll()
    watch.register(alive, select.POLLIN)
    watch.register(connection, _HANG_UP)
    events = dict(watch.poll(None if seconds is None else 1000 * seconds))
    gone = connection.fileno() in events
    if gone and alive not in events:  # the session notices, too, unless one of its kernels is in an endless loop
        select.select([alive], [], [], _FAREWELL_SECONDS)
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) if events else None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not events:
        return f"RPCSessionTimeoutError: the session was ended after {seconds:g} s"
    if gone and ended is None:
        return ""
    if os.WIFSIGNALED(status):
        return f"{DEATH} {signal.Signals(os.WTERMSIG(status)).name}"
    return f"the process of the session ended with exit code {os.WEXITSTATUS(status)}" if os.WEXITSTATUS(status) else ""


def _tell(connection: socket.socket, text: str) -> None:
    """Answers the pending call of the client with an error."""
    with contextlib.suppress(Exception):  # the client may have disconnected
        tvm_server._ffi_api.ReturnException(connection.fileno(), text)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A locked temporary folder; removes the folders of killed servers first."""
    for left in Path(tempfile.gettempdir()).glob(f"{_FOLDERS}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(descriptor)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDERS))
    held = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Serves until the process is killed."""
    parser = argparse.ArgumentParser(prog="python -m tvm_mutate.server", description="Serve this machine as a device.")
    parser.add_argument("--listen", default=LOOPBACK, metavar="ADDRESS", help="default: 127.0.0.1, this machine only")
    parser.add_argument("--port", type=int, default=9091, help="the first port to try (0: any); default: 9091")
    parser.add_argument("--port-end", type=int, default=9199, help="where to stop trying; default: 9199")
    parser.add_argument("--tracker", metavar="HOST:PORT", help="TVM's tracker, python -m tvm.exec.rpc_tracker")
    parser.add_argument("--key", default="", help="the name of the device at the tracker; servers may share a name")
    parser.add_argument("--announce", metavar="ADDRESS", help="this machine's address for clients of the tracker")
    parser.add_argument("--longest", type=float, metavar="SECONDS", help="the time limit of every session")
    options = parser.parse_args(arguments)
    tracker = _address(parser, options.tracker)
    if tracker and not options.key:
        parser.error("--tracker needs --key, the name by which clients ask for the device")
    if not _is_loopback(options.listen):
        print(NO_AUTHENTICATION.format(host=options.listen), file=sys.stderr, flush=True)
    try:
        server = DeviceServer(
            options.listen,
            options.port,
            options.port_end,
            tracker=tracker,
            key=options.key,
            announced=options.announce,
            longest_seconds=options.longest,
        )
    except OSError as error:
        parser.error(f"cannot listen on {options.listen}: {error.strerror or error}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"serving on {server.host}:{server.port}", flush=True)
    try:
        server.serve()
    except KeyboardInterrupt:
        sys.exit(0)


def _address(parser: argparse.ArgumentParser, text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        parser.error(f"--tracker {text!r} is not HOST:PORT")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


if __name__ == "__main__":
    main()

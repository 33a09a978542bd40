"""A device over TVM's RPC on loopback: a tracker and a server, of this machine or of the emulated one."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from urllib.parse import quote

import psutil

from tvm_mutate.server.emulation import default_folder, serving_command

HOST, PORT, KEY = "127.0.0.1", 9390, "board"


class Board:
    """A server of this machine, or of the emulated one, and the tracker that knows it."""

    def __init__(self, emulated: bool) -> None:
        options = ["--tracker", f"{HOST}:{PORT}", "--key", KEY, "--port", "0"]
        here = [sys.executable, "-m", "tvm_mutate.server", *options]
        self._command = serving_command(default_folder(), options) if emulated else here
        ports = ["--port", str(PORT), "--port-end", str(PORT + 1)]
        self._tracker = subprocess.Popen([sys.executable, "-m", "tvm.exec.rpc_tracker", "--host", HOST, *ports])
        self._server = self._start()
        self.kills = 0

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_in_session(self, number: int, stopped: threading.Event) -> None:
        """Kills the server while it is in its session of this number from now on, and starts it again."""
        server, seen = psutil.Process(self._server.pid), set[int]()
        while not stopped.wait(0.001):
            seen |= {child.pid for child in server.children()}
            if len(seen) == number:
                self._server.kill()
                self._server.wait()
                self.kills += 1
                time.sleep(2)
                self._server = self._start()
                return

    def close(self) -> None:
        for process in (self._server, self._tracker):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


def board_device(target: str) -> str:
    """The board as a device that runs code for a target."""
    return f"{KEY}=rpc://{HOST}:{PORT}/{KEY}?patience=120&target={quote(target)}"

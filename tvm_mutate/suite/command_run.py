"""Runs of a command that decides, by its exit code, whether it noticed a mutant."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tvm_mutate.activation import LoggedBuilds
from tvm_mutate.autoload import BUILD, KERNEL, MUTANT, RECORD
from tvm_mutate.device import held_folder
from tvm_mutate.errors import CampaignInterruptedError, UsageError
from tvm_mutate.suite.testing import TestOutcome

# Exit codes by which a shell tells of the signal that its command died of.
_OF_SHELL = {128 + each for each in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)}
_TAIL = 300
_FILL = "171"


@dataclass(frozen=True)
class CommandRun:
    """How a run ended: by exit code, signal (``crash``) or limit of time, and what was recorded meanwhile.

    ``reason`` tells it in a few words; ``seconds`` are those of wall-clock time.
    """

    kind: TestOutcome
    reason: str
    seconds: float
    recording: LoggedBuilds


class Command:
    """A command with its arguments, in the folder and environment of this process; several may run at a time.

    Memory that is allocated and was never written is filled with a pattern (``MALLOC_PERTURB_``, unless it is set
    already), so that it is not zero by chance.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = tuple(arguments)
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._stopped = False

    @contextlib.contextmanager
    def run(self, seconds: float | None, mutant: str = "", kernel: str = "") -> Iterator[CommandRun]:
        """One run, with a mutant or, without, recorded; what was recorded is there while the context lasts.

        After ``seconds`` of wall-clock time (None: no limit) all processes of its group are killed. Raises UsageError
        for a command that cannot be started.
        """
        with held_folder("command") as folder, tempfile.TemporaryFile() as output:
            variables = {MUTANT: mutant, KERNEL: kernel, BUILD: "", RECORD: str(folder)}
            environment = {"MALLOC_PERTURB_": _FILL, **os.environ, **variables}
            began = time.monotonic()
            process = self._started(environment, output.fileno())
            try:
                code: int | None = process.wait(seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                self._end(process)
            taken = time.monotonic() - began
            if self._stopped:
                raise CampaignInterruptedError("interrupted")
            kind, reason = _judged(code, taken)
            told = f"{reason}{_last_line(output.fileno())}"
            yield CommandRun(kind, told, taken, LoggedBuilds.read(Path(folder)))

    def stop(self) -> None:
        """Kills what runs, and lets nothing be started any more."""
        with self._lock:
            self._stopped = True
            for group in self._running:
                _kill(group)

    def _started(self, environment: dict[str, str], output: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise CampaignInterruptedError("interrupted")
            try:
                process = subprocess.Popen(
                    self.arguments,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            except OSError as error:
                raise UsageError(f"{self.arguments[0]!r} cannot be started ({error.strerror})") from None
            self._running.add(process.pid)
            return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kills what is left of the process's group: nothing of a run goes on into the next."""
        with self._lock:
            _kill(process.pid)
            self._running.discard(process.pid)
        process.wait()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _judged(code: int | None, seconds: float) -> tuple[TestOutcome, str]:
    if code is None:
        return TestOutcome.TIMEOUT, f"killed after {seconds:.1f} s"
    if code < 0:
        return TestOutcome.CRASH, signal.Signals(-code).name
    if code in _OF_SHELL:
        return TestOutcome.CRASH, f"{signal.Signals(code - 128).name}, told by exit code {code}"
    return (TestOutcome.EXCEPTION if code else TestOutcome.PASSED), f"exit code {code}"


def _last_line(output: int) -> str:
    """The last line of what was written, for people."""
    size = os.fstat(output).st_size
    text = os.pread(output, _TAIL, max(0, size - _TAIL)).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("tvm_mutate: ")]
    return f": {lines[-1]}" if lines else ""

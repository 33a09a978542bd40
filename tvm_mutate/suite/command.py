"""A command as the oracle: its exit code decides whether it kills a mutant."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tvm_mutate.activation import LoggedBuilds
from tvm_mutate.autoload import BUILD, KERNEL, MUTANT, RECORD
from tvm_mutate.campaign import Reporter
from tvm_mutate.device import held_folder
from tvm_mutate.errors import CampaignInterruptedError, UntrustedError, UsageError
from tvm_mutate.mutant import Catalogue, Slot
from tvm_mutate.passes import Selection
from tvm_mutate.results import CommandOutcome, CommandResults, CommandRow, package_versions
from tvm_mutate.suite.journal import SuiteJournal, TrialKey
from tvm_mutate.suite.planning import PlannedMutant, plan_command
from tvm_mutate.suite.trials import NO_OP, VANISHED

# Exit codes by which a shell reports the signal that ended its command.
_SHELL_CODES = {128 + each for each in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)}
# The limit of a run with a mutant, as a multiple of the seconds of the run without one.
_SLACK = 5.0
_TAIL_BYTES = 300
_FILL = "171"


@dataclass(frozen=True)
class Execution:
    """One execution of a command: its failure (None for exit code 0), the reason, wall-clock seconds and builds."""

    failure: CommandOutcome | None
    reason: str
    seconds: float
    recording: LoggedBuilds


class Command:
    """A command with its arguments, in the folder and environment of this process; several executions may overlap.

    Allocated memory that was never written holds a pattern (``MALLOC_PERTURB_``, unless the variable is set), so that
    such memory is not zero by chance.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = tuple(arguments)
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._stopped = False

    @contextlib.contextmanager
    def execute(self, seconds: float | None, mutant: str = "", kernel: str = "") -> Iterator[Execution]:
        """Executes the command, with a mutant if one is given; its recorded builds exist inside the context only.

        After ``seconds`` of wall-clock time (None: no limit) all processes of the command are killed. Raises UsageError
        if the command cannot be started.
        """
        with held_folder("command") as folder, tempfile.TemporaryFile() as output:
            variables = {MUTANT: mutant, KERNEL: kernel, BUILD: "", RECORD: str(folder)}
            environment = {"MALLOC_PERTURB_": _FILL, **os.environ, **variables}
            began = time.monotonic()
            process = self._start(environment, output.fileno())
            try:
                code: int | None = process.wait(seconds)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                self._end(process)
            taken = time.monotonic() - began
            if self._stopped:
                raise CampaignInterruptedError("interrupted")
            failure, reason = _failure_of(code, taken)
            reason += _last_line(output.fileno())
            yield Execution(failure, reason, taken, LoggedBuilds.read(Path(folder)))

    def stop(self) -> None:
        """Kills all executions; later ones do not start."""
        with self._lock:
            self._stopped = True
            for group in self._running:
                _kill(group)

    def _start(self, environment: dict[str, str], output: int) -> subprocess.Popen[bytes]:
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
        """Kills the rest of the process group, so that no process lives on into the next execution."""
        with self._lock:
            _kill(process.pid)
            self._running.discard(process.pid)
        process.wait()


@dataclass(frozen=True)
class CommandRun:
    """A run on a command: executes it without a mutant, with the canaries, and with each mutant of its kernels.

    ``operators``, ``sites`` and ``seed`` are those of :func:`plan_command`. ``timeout`` is the least limit of an
    execution in seconds; ``workers`` executions run at a time. An interrupted run resumes from the journal.
    """

    command: Command
    operators: Sequence[str]
    sites: str
    seed: int
    timeout: float
    workers: int
    catalogue: Catalogue
    journal: SuiteJournal
    reporter: Reporter

    def run(self) -> CommandResults:
        """The results; raises UntrustedError if the command fails without a mutant, or notices no mutant at all."""
        try:
            with self.command.execute(None) as baseline:
                return self._judged(baseline)
        except BaseException:
            self.command.stop()
            raise

    def _judged(self, baseline: Execution) -> CommandResults:
        recording = baseline.recording
        if baseline.failure:
            raise UntrustedError(f"the command fails without any mutant ({baseline.reason})")
        if not recording.builds:
            raise UntrustedError(
                "the command passes, but no build was seen; is tvm_mutate installed in the Python that the command "
                "runs, and does the command compile anything?"
            )
        limit = max(self.timeout, _SLACK * baseline.seconds)
        kernels = {digest for each in recording.modules for digest in each.digests.values()}
        self.reporter.note(
            f"baseline passes in {baseline.seconds:.1f} s: builds: {recording.builds}, kernels: {len(kernels)}"
        )
        planned = plan_command(self.operators, recording, self.sites, self.seed, self.catalogue)
        if not planned:
            raise UsageError(f"no kernel of the command has a site of {','.join(self.operators)!r}")
        self._check_canaries(limit)
        self.reporter.phase("mutants", len(planned))
        rows = dict(self._rows(planned, limit))
        return CommandResults(
            arguments=self.command.arguments,
            builds=recording.builds,
            kernels=len(kernels),
            baseline_seconds=baseline.seconds,
            rows=tuple(rows[each] for each in planned),
            reused=self.journal.reused,
        )

    def _check_canaries(self, limit: float) -> None:
        """Raises UntrustedError if the command fails with a harmless mutant, or passes with all stores removed."""
        self.reporter.phase("canaries", 2)
        with self.command.execute(limit, str(NO_OP)) as harmless:
            self.reporter.step("")
            if harmless.failure:
                raise UntrustedError(f"the command also fails with a mutant that changes nothing ({harmless.reason})")
        with self.command.execute(limit, str(VANISHED)) as deadly:
            self.reporter.step("")
            if not deadly.failure:
                raise UntrustedError(
                    "the command notices nothing: it passes with every store of every kernel removed"
                    if deadly.recording.applied
                    else "the command builds no kernel with a store, so that there is nothing to notice"
                )

    def _rows(self, planned: Sequence[PlannedMutant], limit: float) -> Iterator[tuple[PlannedMutant, CommandRow]]:
        """The row of each mutant as soon as it is known; rows in the journal are reused."""
        name = json.dumps([str(Path.cwd()), *self.command.arguments])
        source = _digest_of(self.command.arguments)
        keys = {each: TrialKey(str(each.mutation), "command", each.kernel, name, source) for each in planned}
        waiting = []
        for each, key in keys.items():
            known = self.journal.find(key)
            if known is None:
                waiting.append(each)
            else:
                row = msgspec.convert(known, CommandRow)
                self.reporter.step(row.ended.verdict)
                yield each, row
        with ThreadPoolExecutor(self.workers) as pool:
            running: dict[Future[CommandRow], PlannedMutant] = {
                pool.submit(self._row, each, limit): each for each in waiting
            }
            try:
                while running:
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        each, row = running.pop(done), done.result()
                        self.journal.add(keys[each], row)
                        self.reporter.step(row.ended.verdict)
                        yield each, row
            except BaseException:
                self.command.stop()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _row(self, planned: PlannedMutant, limit: float) -> CommandRow:
        with self.command.execute(limit, str(planned.mutation), planned.kernel) as execution:
            ended = execution.failure or CommandOutcome.SURVIVED
            return CommandRow(
                mutant=str(planned.mutation),
                kernel=planned.kernel,
                operator=planned.mutation.operator,
                ended=ended if execution.recording.applied else CommandOutcome.NOT_APPLIED,
                reason=execution.reason,
                seconds=execution.seconds,
                compiler=Selection.resolve(planned.mutation, self.catalogue).slot is Slot.PIPELINE,
            )


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _failure_of(code: int | None, seconds: float) -> tuple[CommandOutcome | None, str]:
    if code is None:
        return CommandOutcome.TIMEOUT, f"killed after {seconds:.1f} s"
    if code < 0:
        return CommandOutcome.CRASH, signal.Signals(-code).name
    if code in _SHELL_CODES:
        return CommandOutcome.CRASH, f"{signal.Signals(code - 128).name}, reported by exit code {code}"
    return (CommandOutcome.EXIT_CODE if code else None), f"exit code {code}"


def _last_line(output: int) -> str:
    """The last line of the command's output, with a colon in front."""
    size = os.fstat(output).st_size
    text = os.pread(output, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("tvm_mutate: ")]
    return f": {lines[-1]}" if lines else ""


def _digest_of(arguments: Sequence[str]) -> str:
    """A digest of the files that a command names and of the package versions; outcomes are reused while it is equal."""
    digest = hashlib.sha256(json.dumps(package_versions()).encode())
    for argument in arguments:
        path = Path(argument)
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()

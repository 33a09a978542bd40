"""Tasks in forked child processes with limits of time and memory; a task cannot harm the process that runs it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import math
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

import psutil

from tvm_mutate.errors import line_of
from tvm_mutate.text_enum import TextEnum

Stage = Callable[..., None]
Answer = Callable[[Stage, Any], Any]
# A child that gets too little processor time may take longer, at most this many times its limit.
PATIENCE = 5.0
# A child that keeps sending signs of life is killed after this many times its limit.
ENDURANCE = 10.0
_FATAL_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
_PR_SET_PDEATHSIG = 1
_OUTPUT_TAIL = 2000
# Receiving one message costs the parent about a millisecond.
_SIGN_SECONDS = 0.1
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
_LEAST_HEADROOM_BYTES = 2 << 30


class EndingKind(TextEnum):
    """How a task in a child process ended; only a task on a remote device can end with the device lost."""

    FINISHED = "finished"
    RAISED = "raised"
    DIED = "died"
    TIMED_OUT = "timed out"
    LOST = "lost"


@dataclass(frozen=True)
class Ending:
    """How a task ended, in which stage, and after how many wall-clock seconds.

    ``value`` is the result of a task that finished, ``reason`` one line that says why another one ended. ``note`` is
    the last note that the task sent with a stage, however the task ended.
    """

    kind: EndingKind
    stage: str
    seconds: float
    value: Any = None
    reason: str = ""
    note: Any = None


def run_isolated(
    task: Callable[[Stage], Any], seconds: float, headroom_bytes: int | None = None, patience: float = PATIENCE
) -> Ending:
    """The ending of ``task`` run in a forked child.

    ``seconds`` limits the processor time, and ``patience`` times as many seconds the wall-clock time: other load on the
    machine decides no verdict, and a task that only waits ends as well. The limit starts again whenever the task enters
    a stage, ten times at most: a slow task that makes progress is no endless loop. ``headroom_bytes`` limits how much
    the address space may grow, mapped files included.

    The task gets a function ``stage(name, note=None)`` to say which stage it enters; its value must be picklable. The
    child leads a process group that is killed as a whole, with every compiler that the child started. The caller must
    not have started TVM's thread pool (TVM_NUM_THREADS=1).
    """
    children = Children()
    try:
        return children.run(task, seconds, headroom_bytes, patience)
    finally:
        children.close()


class Children:
    """Runs tasks like :func:`run_isolated`, one after another; each child exits while the next one works.

    An exiting child returns its memory to the system, which takes about 10 ms.
    """

    def __init__(self) -> None:
        self._exiting: int | None = None

    def run(
        self,
        task: Callable[[Stage], Any],
        seconds: float,
        headroom_bytes: int | None = None,
        patience: float = PATIENCE,
    ) -> Ending:
        """The ending of a task; its child is killed, but may not have exited yet."""

        def serve(connection: Connection) -> None:
            gc.disable()  # the child does not live long enough for a collection to pay
            answer(task, connection)

        started = time.monotonic()
        child = _Child(serve, headroom_bytes)
        self.close()
        self._exiting = child.process
        try:
            ending = child.watch(_TimeLimit(child.process, seconds, started, patience))
        finally:
            child.kill()
        if ending.kind == EndingKind.DIED:
            self._exiting = None  # already waited for: the process id may be reused
        return ending

    def close(self) -> None:
        """Waits until the last child has exited."""
        if self._exiting is not None:
            _wait_for(self._exiting)
            self._exiting = None


class PersistentChild:
    """A child that answers one request after another; it is forked at the first request and again after its death.

    ``make`` is called in the child at the first request and gives the function that answers requests. Requests and
    values must be picklable. The limits are those of :func:`run_isolated`, for each request; ``headroom_bytes`` counts
    from the start of the child. A child that keeps more than ``most_kept_bytes`` of memory after a request is replaced.
    """

    def __init__(
        self,
        make: Callable[[Stage], Answer],
        headroom_bytes: int | None = None,
        patience: float = PATIENCE,
        most_kept_bytes: int | None = None,
    ) -> None:
        self._make, self._headroom, self._patience = make, headroom_bytes, patience
        self._most_kept = most_kept_bytes
        self._child: _Child | None = None
        self._inherited_bytes = 0

    @property
    def is_running(self) -> bool:
        """Whether a child that has answered a request is running."""
        return self._child is not None

    def ask(self, request: Any, seconds: float) -> Ending:
        """The ending of a request; the child goes on only if the request finished or raised."""
        for _ in range(2):
            is_new = self._child is None
            if self._child is None:
                self._child = _Child(functools.partial(_serve, self._make), self._headroom)
                self._inherited_bytes = _own_bytes(self._child.process)
            ending = self._ask(self._child, request, seconds)
            if ending.kind in (EndingKind.FINISHED, EndingKind.RAISED):
                kept = _own_bytes(self._child.process) - self._inherited_bytes if self._most_kept is not None else 0
                if self._most_kept is not None and kept > self._most_kept:
                    self.close()
                return ending
            self.close()
            if is_new or ending.stage != "start":
                break
            # Another process killed the idle child: the request is asked again.
        return ending

    def _ask(self, child: _Child, request: Any, seconds: float) -> Ending:
        # Child and parent share the position in the file: all that follows is output of this request.
        child.output.truncate(0)
        child.output.seek(0)
        used = _processor_seconds(child.process)
        used = 0.0 if math.isinf(used) else used
        limit = _TimeLimit(child.process, seconds, time.monotonic(), self._patience, used)
        with contextlib.suppress(OSError):  # the child is dead, which watching the child finds
            child.connection.send(request)
        return child.watch(limit)

    def close(self) -> None:
        """Kills the child and waits until it has exited."""
        if self._child is not None:
            self._child.kill()
            _wait_for(self._child.process)
            self._child = None


class _Child:
    """A forked process that runs ``serve(connection)``, with its end of the connection and a file for its output."""

    def __init__(self, serve: Callable[[Connection], None], headroom_bytes: int | None) -> None:
        self.connection, theirs = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.output = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = os.fork()
        if self.process == 0:
            self.connection.close()
            _be_child(lambda: serve(theirs), self.output.fileno(), headroom_bytes)
        theirs.close()

    def watch(self, limit: _TimeLimit) -> Ending:
        """The ending of the task that the child works on; the child still runs if the task finished or raised."""
        stage, note = "start", None
        started = limit.since

        def ending(kind: EndingKind, value: Any = None, reason: str = "") -> Ending:
            return Ending(kind, stage, time.monotonic() - started, value, reason, note)

        while True:
            if not limit.hears(self.connection):
                return ending(EndingKind.TIMED_OUT, reason="no end within the time limit")
            try:
                kind, value = self.connection.recv()
            except (EOFError, OSError):
                break
            if kind == "stage":
                limit.restart()
                stage, new_note = value
                note = note if new_note is None else new_note
            elif kind == EndingKind.RAISED:
                return ending(kind, reason=value)
            else:
                return ending(kind, value=value)
        _, status = os.waitpid(self.process, 0)
        return ending(EndingKind.DIED, reason=self._death(status))

    def kill(self) -> None:
        """Kills the child and every process that the child started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)  # the child may not lead a group yet
        self.connection.close()
        self.output.close()

    def _death(self, status: int) -> str:
        if not os.WIFSIGNALED(status):
            return f"the process ended with exit code {os.waitstatus_to_exitcode(status)}"
        name = signal.Signals(os.WTERMSIG(status)).name
        os.lseek(self.output.fileno(), 0, os.SEEK_SET)
        lines = os.read(self.output.fileno(), _OUTPUT_TAIL).decode(errors="replace").strip().splitlines()
        return f"{name}: {lines[-1][:200]}" if lines else name


def answer(task: Callable[[Stage], Any], sender: Connection) -> None:
    """Runs a task in a child; sends its stages, then its value or exception, to the parent."""
    last_stage, last_sent = "", 0.0

    def stage(name: str, note: Any = None) -> None:
        nonlocal last_stage, last_sent
        now = time.monotonic()
        if note is None and name == last_stage and now - last_sent < _SIGN_SECONDS:
            return
        last_stage, last_sent = name, now
        sender.send(("stage", (name, note)))

    try:
        sender.send((EndingKind.FINISHED, task(stage)))
    except BaseException as error:
        traceback.print_exc()
        sender.send((EndingKind.RAISED, line_of(error)))


def _serve(make: Callable[[Stage], Answer], connection: Connection) -> None:
    """Answers requests with the function that ``make`` gives at the first of them."""
    made: list[Answer] = []

    def answered(stage: Stage, request: Any) -> Any:
        if not made:
            made.append(make(stage))
        return made[0](stage, request)

    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        answer(functools.partial(answered, request=request), connection)


def _be_child(work: Callable[[], object], output: int, headroom_bytes: int | None) -> NoReturn:
    """Does the work of a forked child in a new process group, and exits; writes go to the file ``output``."""
    code = 1
    try:
        os.setpgid(0, 0)
        die_with_parent()
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__  # the command line's own go around descriptor 2
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):  # if memory runs out, Linux kills this process first
            Path("/proc/self/oom_score_adj").write_text("1000")
        if headroom_bytes is not None:
            _limit_memory(headroom_bytes)
        for number in _FATAL_SIGNALS:  # TVM's handlers would print a backtrace, which takes time
            signal.signal(number, signal.SIG_DFL)
        work()
        code = 0
    finally:
        os._exit(code)


def die_with_parent() -> None:
    """Asks the kernel to kill this process when its parent dies (Linux; elsewhere nothing is done)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_memory(headroom_bytes: int) -> None:
    """Limits the address space to its present size and the headroom; does nothing if the size is unknown."""
    with contextlib.suppress(OSError):
        present = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = present + headroom_bytes
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class _TimeLimit:
    """The time limit of a child, which has ``seconds`` from one sign of life to the next.

    ``used`` is the processor time that the child used before.
    """

    def __init__(self, child: int, seconds: float, started: float, patience: float, used: float = 0.0) -> None:
        self._child, self._seconds, self._patience = child, seconds, patience
        self.since, self._used = started, used
        self._most = used + ENDURANCE * seconds

    def restart(self) -> None:
        """Starts the limit again, after a sign of life."""
        used = _processor_seconds(self._child)
        self.since, self._used = time.monotonic(), self._used if math.isinf(used) else used

    def hears(self, receiver: Connection) -> bool:
        """Whether the child sends a message, or ends, within its time."""
        if self._used > self._most:
            return False
        deadline = self.since + self._seconds
        while (left := deadline - time.monotonic()) > 0:
            if receiver.poll(left):
                return True
            allowed = self._used + self._seconds - _processor_seconds(self._child)
            deadline = min(time.monotonic() + allowed, self.since + self._patience * self._seconds)
        return receiver.poll(0)


def _processor_seconds(child: int) -> float:
    """The processor time of a child and of the processes that it waited for; infinite if the child is gone."""
    try:
        times = psutil.Process(child).cpu_times()
    except psutil.Error:
        return math.inf
    return float(sum(getattr(times, name, 0.0) for name in ("user", "system", "children_user", "children_system")))


def _own_bytes(child: int) -> int:
    """The memory of a child, on Linux without mapped files; 0 if the child is gone."""
    try:
        memory = psutil.Process(child).memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))


def _wait_for(child: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def machine_memory() -> int:
    """The bytes of memory of this machine, or of the container that this process is in."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        return min(memory, int(_CONTAINER_LIMIT.read_text()))
    return memory


def mutant_headroom() -> int:
    """The bytes by which evaluating a mutant may grow a process: half of the machine's memory, at least 2 GiB."""
    return max(machine_memory() // 2, _LEAST_HEADROOM_BYTES)

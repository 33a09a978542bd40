"""Runs one task in a forked child, so that nothing it does can harm the process that asked for it."""

from __future__ import annotations

import contextlib
import ctypes
import enum
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

Stage = Callable[..., None]
_FATAL_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)
_PR_SET_PDEATHSIG = 1
_OUTPUT_TAIL = 2000
# A child that others keep from the processor gets as much longer, at most this many times its limit.
PATIENCE = 5.0
# A child that goes on giving signs of life ends all the same, after this many times its limit.
ENDURANCE = 10.0
# To hear of each input costs the parent about a millisecond.
_SIGN_SECONDS = 0.1
_ADDED_BY_TVM = "\nError in pass: "


class EndingKind(str, enum.Enum):
    """How a task in a child process ended; only a task on a remote device can end with the device lost."""

    FINISHED = "finished"
    RAISED = "raised"
    DIED = "died"
    TIMED_OUT = "timed out"
    LOST = "lost"

    def __str__(self) -> str:
        return self.value

    def __format__(self, specification: str) -> str:
        return format(self.value, specification)


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
    """The ending of ``task`` run in a forked child with a limit of time.

    The limit is one of processor time, as long as the child has had it within five (or ``patience``) times as many
    seconds of wall-clock time: what else runs on the machine decides no verdict, and what only waits ends, too. It
    begins anew whenever the task says that it enters a stage, ten times at most: what is slow but gets on is no endless
    loop.
    With ``headroom_bytes`` its address space is limited, too: to so many bytes more than it inherits, of which
    mapped files are a part. Beyond them memory is refused to the task, instead of being taken from everybody else.
    The task is given a function ``stage(name, note=None)`` to say which stage it enters. Its value has to be
    picklable. The child leads a process group of its own, which is killed as a whole: compilers that it started
    end with it. The caller must not have started TVM's thread pool (TVM_NUM_THREADS=1).
    """
    children = Children()
    try:
        return children.run(task, seconds, headroom_bytes, patience)
    finally:
        children.close()


class Children:
    """Runs tasks as :func:`run_isolated` does, one after another; takes leave of a child while the next one works.

    A child has a good part of its parent's memory to give back when it ends, which takes about 10 ms.
    """

    def __init__(self) -> None:
        self._leaving: int | None = None

    def run(
        self,
        task: Callable[[Stage], Any],
        seconds: float,
        headroom_bytes: int | None = None,
        patience: float = PATIENCE,
    ) -> Ending:
        """The ending of a task; its child is killed, but may be there for a moment yet."""
        receiver, sender = Pipe(duplex=False)
        started = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                receiver.close()
                gc.disable()  # a child does not live long enough to gain by it
                be_child(lambda: answer(task, sender), output.fileno(), headroom_bytes)
            sender.close()
            self.close()
            self._leaving = child
            try:
                ending = watch(child, receiver, TimeLimit(child, seconds, started, patience), output.fileno())
            finally:
                kill_group(child)
                receiver.close()
        if ending.kind == EndingKind.DIED:
            self._leaving = None  # it has been waited for, and its number may be another's
        return ending

    def close(self) -> None:
        """Waits until the last child is gone."""
        if self._leaving is not None:
            wait_for(self._leaving)
            self._leaving = None


def die_with_parent() -> None:
    """Asks the kernel to kill this process when its parent dies (Linux; elsewhere nothing is done)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def be_child(work: Callable[[], object], output: int, headroom: int | None) -> NoReturn:
    """Does the work of a forked child, in a process group of its own, and ends it.

    What it writes goes to the file ``output``; its address space is limited to ``headroom`` bytes more than now.
    """
    code = 1
    try:
        os.setpgid(0, 0)
        die_with_parent()
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _be_first_to_go()
        if headroom is not None:
            _limit_memory(headroom)
        for number in _FATAL_SIGNALS:  # TVM's own handlers would print a backtrace and take their time
            signal.signal(number, signal.SIG_DFL)
        work()
        code = 0
    finally:
        os._exit(code)


def answer(task: Callable[[Stage], Any], sender: Connection) -> None:
    """Runs a task in a child, and tells its parent the stages that it enters, and its value or what it raised."""
    try:
        sender.send((EndingKind.FINISHED, task(_Signs(sender).give)))
    except BaseException as error:
        traceback.print_exc()
        sender.send((EndingKind.RAISED, _one_line(error)))


class _Signs:
    """The signs of life of a child; of those that only say that it is still there, no more than do any good."""

    def __init__(self, sender: Connection) -> None:
        self._sender = sender
        self._stage, self._given = "", 0.0

    def give(self, stage: str, note: Any = None) -> None:
        """Says that the child enters a stage, or that it gets on there."""
        now = time.monotonic()
        if note is None and stage == self._stage and now - self._given < _SIGN_SECONDS:
            return
        self._stage, self._given = stage, now
        self._sender.send(("stage", (stage, note)))


def _be_first_to_go() -> None:
    """Asks the kernel to kill this process before any other when memory runs out all the same (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _limit_memory(headroom: int) -> None:
    """Limits the address space to so many bytes more than now; where nothing tells its size, nothing is done."""
    with contextlib.suppress(OSError):
        present = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = present + headroom if hard == resource.RLIM_INFINITY else min(present + headroom, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def watch(child: int, receiver: Connection, limit: TimeLimit, output: int) -> Ending:
    """The ending of the task that a child is at; the child is still there if it finished or raised."""
    stage, note = "start", None
    started = limit.since

    def ending(kind: EndingKind, value: Any = None, reason: str = "") -> Ending:
        return Ending(kind, stage, time.monotonic() - started, value, reason, note)

    while True:
        if not limit.hears(receiver):
            return ending(EndingKind.TIMED_OUT, reason="no end within the time limit")
        try:
            kind, value = receiver.recv()
        except (EOFError, OSError):
            break
        if kind == "stage":
            limit.begin_anew()
            stage, told = value
            note = note if told is None else told
        elif kind == EndingKind.RAISED:
            return ending(kind, reason=value)
        else:
            return ending(kind, value=value)
    _, status = os.waitpid(child, 0)
    return ending(EndingKind.DIED, reason=_death(status, output))


class TimeLimit:
    """The limit of a child's time, of which it has ``seconds`` from one sign of life to the next.

    ``used`` is the processor time that it had before.
    """

    def __init__(self, child: int, seconds: float, started: float, patience: float, used: float = 0.0) -> None:
        self._child, self._seconds, self._patience = child, seconds, patience
        self.since, self._used = started, used
        self._most = used + ENDURANCE * seconds

    def begin_anew(self) -> None:
        """Takes note of a sign of life."""
        used = processor_seconds(self._child)
        self.since, self._used = time.monotonic(), self._used if math.isinf(used) else used

    def hears(self, receiver: Connection) -> bool:
        """Whether the child says anything, or ends, before it has used up its time."""
        if self._used > self._most:
            return False
        deadline = self.since + self._seconds
        while (left := deadline - time.monotonic()) > 0:
            if receiver.poll(left):
                return True
            used = processor_seconds(self._child)
            allowed = self._used + self._seconds - used
            deadline = min(time.monotonic() + allowed, self.since + self._patience * self._seconds)
        return receiver.poll(0)


def processor_seconds(child: int) -> float:
    """The processor time of a child and of those that it waited for; infinite for one that is gone."""
    try:
        times = psutil.Process(child).cpu_times()
    except psutil.Error:
        return float("inf")
    return float(sum(getattr(times, name, 0.0) for name in ("user", "system", "children_user", "children_system")))


def own_bytes(child: int) -> int:
    """The memory of a child, mapped files apart where the system tells them apart (Linux); 0 for one that is gone."""
    try:
        memory = psutil.Process(child).memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - getattr(memory, "shared", 0))


def _death(status: int, output: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"the process ended with exit code {os.waitstatus_to_exitcode(status)}"
    name = signal.Signals(os.WTERMSIG(status)).name
    os.lseek(output, 0, os.SEEK_SET)
    said = os.read(output, _OUTPUT_TAIL).decode(errors="replace").strip().splitlines()
    return f"{name}: {said[-1][:200]}" if said else name


def kill_group(child: int) -> None:
    """Kills a child and all that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)  # for a child that has not become a group leader yet


def wait_for(child: int) -> None:
    """Waits for a child that is about to end."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)


def _one_line(error: BaseException) -> str:
    # What TVM adds to an error in a pass, the name of the pass and the whole module, says less than the error.
    text, _, _ = str(error).partition(_ADDED_BY_TVM)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:300]}" if lines else type(error).__name__

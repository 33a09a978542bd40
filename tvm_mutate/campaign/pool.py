"""The workers of a campaign as processes of this machine: jobs go out, futures get the answers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from tvm_mutate.campaign.engine import Job, Observer, WorkerDeathError
from tvm_mutate.campaign.sending import RequestWriter
from tvm_mutate.campaign.work_order import WorkOrder
from tvm_mutate.device import held_folder

# One thread a worker: forked children cannot use a thread pool of their parent, and workers share the cores.
_ENVIRONMENT = {
    "TVM_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Large pages for the heap: most of the time of a fork is copying page tables. One heap for all threads: no two of
    # them work at a time.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1",
    # Objects of Python lie in that heap, too: 9 ms instead of 15 for an empty child.
    "PYTHONMALLOC": "malloc",
}
_ATTEMPTS = 2
# A request that is sent to a busy worker must fit into the socket's buffer: if it did not, worker and pool could wait
# for each other, each to be read by the other.
_SENT_AHEAD_BYTES = 32 * 1024
# A worker finds every module where this process does: in a folder with our sources that may be another tvm_mutate.
_SAME_MODULES = "import sys; sys.path[:] = {path!r}\n"
# Not `-m`: the module would be loaded twice, and its requests be of other classes than ours. Ctrl-C reaches workers
# too, and is the campaign's business, from the first moment on.
WORKER_PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "from tvm_mutate.campaign.worker import main; main(int(sys.argv[1]))"
)


@dataclass
class _Process:
    connection: Connection
    process: subprocess.Popen[bytes]
    writer: RequestWriter = field(default_factory=RequestWriter)
    jobs: deque[Job] = field(default_factory=deque)  # sent and not answered, oldest first
    since: float = 0.0  # when the oldest was begun


class WorkerPool:
    """An engine of ``count`` worker processes; a context manager, which ends them.

    A worker has its next request at hand while it is at one, so that it never waits for what the campaign does with an
    answer. When a worker dies, the request that it was at is tried once more, in a new process; over a second death its
    future gets a WorkerDeathError. The request at hand goes back unharmed. ``program`` is the Python text that a worker
    runs; it finds the descriptor of its connection in ``sys.argv[1]``, and reads requests with a RequestReader.
    """

    def __init__(self, count: int, observer: Observer | None = None, program: str = WORKER_PROGRAM) -> None:
        self._observer = observer or (lambda _worker, _request: None)
        self._program = program
        self._count = count
        self._order = WorkOrder(count)
        self._processes: list[_Process] = []
        self._attempts: dict[Job, int] = {}
        self._lock = threading.Lock()
        self._new: list[Job] = []
        self._closing = False
        self._exit = contextlib.ExitStack()
        self._failure: BaseException | None = None
        self._heard, self._alarm = Pipe(duplex=False)
        self._thread = threading.Thread(target=self._serve, name="worker pool", daemon=True)

    def __enter__(self) -> WorkerPool:
        self._temporary = self._exit.enter_context(held_folder("workers"))
        # By this thread, which outlives them: the kernel kills a worker with the thread that started it.
        self._processes = [self._start() for _ in range(self._count)]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._kill()  # first, which frees the thread where it is sending
        self._alarm.send_bytes(b"!")
        self._thread.join()
        self._kill()  # and what it started meanwhile
        for each in self._processes:
            each.connection.close()
        for job in self._unanswered():
            job.future.cancel()
        self._exit.close()

    def submit(self, jobs: Iterable[Job]) -> list[Future[Any]]:
        """The futures of the jobs, in order; refusals of a worker are their exceptions."""
        new = list(jobs)
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._new += new
            self._alarm.send_bytes(b"!")
        return [job.future for job in new]

    def process_ids(self) -> list[int]:
        """The ids of the worker processes that are there now."""
        return [each.process.pid for each in self._processes]

    def _kill(self) -> None:
        for each in self._processes:
            each.process.kill()
            each.process.wait()

    def _unanswered(self) -> list[Job]:
        sent = [job for each in self._processes for job in each.jobs]
        with self._lock:
            new, self._new = self._new, []
        return sent + list(self._order.drain()) + new

    def _serve(self) -> None:
        """What the pool's thread does until the pool closes."""
        try:
            while not self._closing:
                self._hand_out()
                busy = {each.connection: worker for worker, each in enumerate(self._processes) if each.jobs}
                for connection in wait([self._heard, *busy]):
                    if connection is self._heard:
                        self._heard.recv_bytes()
                    elif not self._closing:
                        self._receive(busy[connection])  # type: ignore[index]
        except BaseException as error:  # an error of ours: the campaign must hear of it, and not wait for ever
            with self._lock:
                self._failure = error
            for job in self._unanswered():
                if not job.future.done():
                    job.future.set_exception(error)

    def _hand_out(self) -> None:
        with self._lock:
            new, self._new = self._new, []
        for job in new:
            self._order.add(job)
        for worker, each in enumerate(self._processes):
            while not each.jobs and (next_job := self._order.take(worker)) is not None:
                self._send(worker, next_job)
        for worker, each in enumerate(self._processes):
            if len(each.jobs) == 1 and (next_job := self._order.take_ahead(worker)) is not None:
                self._send(worker, next_job)

    def _send(self, worker: int, job: Job) -> None:
        if not job.future.running() and not job.future.set_running_or_notify_cancel():
            return  # it was cancelled
        each = self._processes[worker]
        written = each.writer.write(job.request)
        if each.jobs and len(written.content) > _SENT_AHEAD_BYTES:
            self._order.add(job, first=True)
            return
        each.writer.sent(written)
        each.jobs.append(job)
        if len(each.jobs) == 1:
            self._begin(worker)
        with contextlib.suppress(OSError):  # a worker that has died is found out where its answers are read
            each.connection.send_bytes(written.content)

    def _begin(self, worker: int) -> None:
        """Notes that a worker is at the oldest of its jobs now, or at none."""
        each = self._processes[worker]
        each.since = time.monotonic()
        self._observer(worker, each.jobs[0].request if each.jobs else None)

    def _receive(self, worker: int) -> None:
        each = self._processes[worker]
        try:
            kind, answer = each.connection.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        job = each.jobs.popleft()
        self._order.took(job, time.monotonic() - each.since)
        self._attempts.pop(job, None)
        self._begin(worker)
        if kind == "refusal":
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)

    def _bury(self, worker: int) -> None:
        """Puts a new process in the place of a dead one; the job that it was at is to blame, the next one is not."""
        each = self._processes[worker]
        each.process.kill()
        code = each.process.wait()
        each.connection.close()
        if self._closing:
            return
        self._processes[worker] = self._start()
        self._order.forget(worker)
        culprit, *others = each.jobs
        for job in reversed(others):
            self._order.add(job, first=True)
        self._attempts[culprit] = self._attempts.get(culprit, 0) + 1
        if self._attempts[culprit] < _ATTEMPTS:
            self._order.add(culprit, first=True)
        else:
            culprit.future.set_exception(WorkerDeathError(f"the worker process died with exit code {code}"))
        self._begin(worker)

    def _start(self) -> _Process:
        ours, theirs = Pipe()
        descriptor = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", f"{_SAME_MODULES.format(path=sys.path)}{self._program}", str(descriptor)],
            pass_fds=[descriptor],
            # Whatever a killed worker, its children and their compilers leave behind goes with the pool's folder.
            env={**os.environ, **_ENVIRONMENT, "TMPDIR": str(self._temporary)},
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        return _Process(ours, process)

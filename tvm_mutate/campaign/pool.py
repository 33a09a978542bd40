"""The worker processes of a campaign: the pool sends jobs, and futures get the answers."""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from tvm_mutate.campaign.mutant_rows import Baseline
from tvm_mutate.campaign.plan import Subject
from tvm_mutate.campaign.work_order import Job, WorkOrder
from tvm_mutate.device import held_folder
from tvm_mutate.errors import MutateError

# One thread per worker: forked children cannot use a thread pool of their parent, and workers share the cores.
_ENVIRONMENT = {
    "TVM_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Large pages for the heap, because a fork spends most of its time on copying page tables. One heap for all threads,
    # of which only one runs at a time.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1",
    # Python objects use the same heap: an empty child takes 9 ms instead of 15.
    "PYTHONMALLOC": "malloc",
}
_ATTEMPTS = 2
# A request to a busy worker must fit into the socket's buffer. Otherwise worker and pool could wait for each other,
# both blocked in a write.
_SENT_AHEAD_BYTES = 32 * 1024
# A worker finds every module where this process does: the working folder may hold another tvm_mutate.
_SAME_MODULES = "import sys; sys.path[:] = {path!r}\n"
# `-m` would load the module twice, with classes of requests that differ from ours. Ctrl-C reaches the workers, too, but
# only the campaign handles the signal. Imports run without garbage collection, which takes an eighth of the start.
# Frozen objects are not collected later either, so that forked children copy fewer pages.
WORKER_PROGRAM = (
    "import gc, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); gc.disable(); "
    "from tvm_mutate.campaign.worker import main; gc.freeze(); gc.enable(); main(int(sys.argv[1]))"
)
# Many requests share these objects, which have an entry for every input: a worker gets each object once.
_SHARED = (Subject, Baseline)


class WorkerDeathError(MutateError):
    """A worker process died twice over one request."""


# Called with the number of a worker and its current request, or None for an idle worker.
Observer = Callable[[int, Any], None]


class Engine(AbstractContextManager["Engine"], Protocol):
    """Answers requests; has the shape of an executor of ``concurrent.futures``.

    The future of a job gets the result of ``request.answer(worker)`` or its exception, and a WorkerDeathError if the
    worker itself died over the request. Workers keep lowered models between requests: an engine best sends jobs of one
    ``pair`` and ``group`` to one worker.
    """

    def submit(self, jobs: Iterable[Job]) -> list[Future[Any]]:
        """The futures of the jobs, in order; all jobs come at once, so that the engine can order them."""
        ...


EngineFactory = Callable[[Observer], Engine]


@dataclass
class _Process:
    connection: Connection
    process: subprocess.Popen[bytes]
    writer: RequestWriter
    jobs: deque[Job] = field(default_factory=deque)  # sent and not answered, oldest first
    since: float = 0.0  # start of the oldest job


class WorkerPool:
    """An engine of ``count`` worker processes; leaving the context ends them.

    A busy worker already has its next request, so that it never waits for the campaign to handle an answer. If a worker
    dies, a new process tries the current request once more; after a second death the future gets a WorkerDeathError.
    The next request goes back into the queue. ``program`` is the Python text that a worker runs: it finds the
    descriptor of its connection in ``sys.argv[1]`` and reads requests with a RequestReader.
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
        self._wake_receiver, self._wake_sender = Pipe(duplex=False)
        self._thread = threading.Thread(target=self._serve, name="worker pool", daemon=True)

    def __enter__(self) -> WorkerPool:
        self._temporary = self._exit.enter_context(held_folder("workers"))
        # This thread starts the workers, because the kernel kills a worker together with the thread that started it.
        self._processes = [self._start() for _ in range(self._count)]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._kill()  # frees the pool's thread if it is blocked in a write
        self._wake_sender.send_bytes(b"!")
        self._thread.join()
        self._kill()  # workers that the thread started meanwhile
        for each in self._processes:
            each.connection.close()
        for job in self._unanswered():
            job.future.cancel()
        self._exit.close()

    def submit(self, jobs: Iterable[Job]) -> list[Future[Any]]:
        """The futures of the jobs, in order; an error of a worker becomes the exception of the future."""
        new = list(jobs)
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._new += new
            self._wake_sender.send_bytes(b"!")
        return [job.future for job in new]

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
        """The loop of the pool's thread, until the pool closes."""
        try:
            while not self._closing:
                self._send_jobs()
                busy = {each.connection: worker for worker, each in enumerate(self._processes) if each.jobs}
                for connection in wait([self._wake_receiver, *busy]):
                    if connection is self._wake_receiver:
                        self._wake_receiver.recv_bytes()
                    elif not self._closing:
                        self._receive(busy[connection])  # type: ignore[index]
        except BaseException as error:  # an error of the pool itself: the campaign gets it instead of waiting for ever
            with self._lock:
                self._failure = error
            for job in self._unanswered():
                if not job.future.done():
                    job.future.set_exception(error)

    def _send_jobs(self) -> None:
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
            return  # the future was cancelled
        each = self._processes[worker]
        content = each.writer.write(job.request)
        if each.jobs and len(content) > _SENT_AHEAD_BYTES:
            self._order.add(job, first=True)
            return
        each.writer.sent()
        each.jobs.append(job)
        if len(each.jobs) == 1:
            self._begin(worker)
        with contextlib.suppress(OSError):  # `_receive` notices a dead worker
            each.connection.send_bytes(content)

    def _begin(self, worker: int) -> None:
        """Notes that a worker begins the oldest of its jobs, or is idle."""
        each = self._processes[worker]
        each.since = time.monotonic()
        self._observer(worker, each.jobs[0].request if each.jobs else None)

    def _receive(self, worker: int) -> None:
        each = self._processes[worker]
        try:
            kind, answer = each.connection.recv()
        except (EOFError, OSError):
            self._replace(worker)
            return
        job = each.jobs.popleft()
        self._order.note_time(job, time.monotonic() - each.since)
        self._attempts.pop(job, None)
        self._begin(worker)
        if kind == "refusal":
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)

    def _replace(self, worker: int) -> None:
        """Replaces a dead worker; its current job counts as the cause, its next job does not."""
        each = self._processes[worker]
        each.process.kill()
        code = each.process.wait()
        each.connection.close()
        if self._closing:
            return
        self._processes[worker] = self._start()
        self._order.forget(worker)
        current, *others = each.jobs
        for job in reversed(others):
            self._order.add(job, first=True)
        self._attempts[current] = self._attempts.get(current, 0) + 1
        if self._attempts[current] < _ATTEMPTS:
            self._order.add(current, first=True)
        else:
            current.future.set_exception(WorkerDeathError(f"the worker process died with exit code {code}"))
        self._begin(worker)

    def _start(self) -> _Process:
        ours, theirs = Pipe()
        descriptor = theirs.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", f"{_SAME_MODULES.format(path=sys.path)}{self._program}", str(descriptor)],
            pass_fds=[descriptor],
            # Files of a killed worker, its children and their compilers are deleted with the pool's folder.
            env={**os.environ, **_ENVIRONMENT, "TMPDIR": str(self._temporary)},
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        return _Process(ours, process, RequestWriter())


@dataclass(frozen=True)
class _Shared:
    """A shared object in a request; ``value`` is None if the worker already has the object."""

    number: int
    value: Any = None


class RequestWriter:
    """Writes requests for one worker process, which reads them in the order in which they are sent."""

    def __init__(self) -> None:
        self._sent: dict[int, Any] = {}  # by id(), which stays unique while this dict keeps the objects
        self._written: dict[int, Any] = {}

    def write(self, request: Any) -> bytes:
        """The request as bytes; if the caller sends them, the caller calls :meth:`sent`."""
        self._written = {}
        if not is_dataclass(request):
            return pickle.dumps(request)
        values = {each.name: self._without_sent(getattr(request, each.name)) for each in fields(request)}
        return pickle.dumps((type(request), values), pickle.HIGHEST_PROTOCOL)

    def sent(self) -> None:
        """Notes that the worker gets the bytes of the last :meth:`write`."""
        self._sent.update(self._written)

    def _without_sent(self, value: Any) -> Any:
        if type(value) not in _SHARED:
            return value
        if id(value) in self._sent:
            return _Shared(id(value))
        self._written[id(value)] = value
        return _Shared(id(value), value)


class RequestReader:
    """Reads the requests of one RequestWriter, in the order in which they were sent."""

    def __init__(self) -> None:
        self._received: dict[int, Any] = {}

    def read(self, content: bytes) -> Any:
        """The request."""
        kind, values = pickle.loads(content)
        for name, value in values.items():
            if isinstance(value, _Shared):
                values[name] = self._received.setdefault(value.number, value.value)
        return kind(**values)

"""The workers of a campaign as processes: requests go out, answers come back as they are ready."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from tvm_mutate.campaign.worker import Request
from tvm_mutate.errors import MutateError

# One thread a worker: forked children cannot use a thread pool of their parent, and workers share the cores.
_ENVIRONMENT = {"TVM_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_ATTEMPTS = 2
# Not `-m`: the module would be loaded twice, and its requests be of other classes than ours. Ctrl-C reaches workers
# too, and is the campaign's business, from the first moment on.
_WORKER = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "from tvm_mutate.campaign.worker import main; main(int(sys.argv[1]))"
)


class WorkerDeathError(MutateError):
    """A worker process itself was killed, twice, over one request."""


@dataclass
class _Process:
    connection: Connection
    process: subprocess.Popen[bytes]
    group: Hashable = None
    job: tuple[Hashable, Request] | None = None


@dataclass
class WorkerPool:
    """Worker processes that answer requests; a context manager, which ends them.

    Requests come in groups that share a lowered model; a worker stays with its group while it has requests.
    """

    count: int
    _processes: list[_Process] = field(default_factory=list)

    def __enter__(self) -> WorkerPool:
        self._processes = [_start() for _ in range(self.count)]
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._processes:
            each.process.kill()
            each.process.wait()
            each.connection.close()

    def answers(self, groups: Mapping[Any, Sequence[Request]]) -> Iterator[tuple[Request, Any]]:
        """Each request with its answer, as they come; raises the MutateError with which a worker refused one.

        The answer to a request over which the worker died, twice, is a WorkerDeathError.
        """
        waiting: dict[Hashable, deque[Request]] = {
            group: deque(requests) for group, requests in groups.items() if requests
        }
        attempts: dict[int, int] = {}
        for index in range(len(self._processes)):
            self._give_work(index, waiting)
        while busy := [each for each in self._processes if each.job is not None]:
            for connection in wait([each.connection for each in busy]):
                index = next(i for i, each in enumerate(self._processes) if each.connection is connection)
                yield from self._collect(index, waiting, attempts)
                self._give_work(index, waiting)

    def _collect(
        self, index: int, waiting: dict[Hashable, deque[Request]], attempts: dict[int, int]
    ) -> Iterator[tuple[Request, Any]]:
        each = self._processes[index]
        assert each.job is not None
        (group, request), each.job = each.job, None
        try:
            kind, answer = each.connection.recv()
        except (EOFError, OSError):
            each.process.kill()
            code = each.process.wait()
            self._processes[index] = _start()
            attempts[id(request)] = attempts.get(id(request), 0) + 1
            if attempts[id(request)] < _ATTEMPTS:
                waiting.setdefault(group, deque()).appendleft(request)
            else:
                yield request, WorkerDeathError(f"the worker process died with exit code {code}")
            return
        if kind == "refusal":
            raise answer
        yield request, answer

    def _give_work(self, index: int, waiting: dict[Hashable, deque[Request]]) -> None:
        each = self._processes[index]
        if not waiting.get(each.group):
            each.group = _next_group(waiting, {other.group for other in self._processes if other.job is not None})
        if each.group is not None and waiting.get(each.group):
            request = waiting[each.group].popleft()
            each.job = (each.group, request)
            each.connection.send(request)


def _next_group(waiting: dict[Hashable, deque[Request]], taken: set[Hashable]) -> Hashable:
    """The next group that no other worker is at, or else the one with most left to do."""
    left = {group: len(requests) for group, requests in waiting.items() if requests}
    free = [group for group in left if group not in taken]
    return free[0] if free else max(left, key=lambda group: left[group], default=None)


def _start() -> _Process:
    ours, theirs = Pipe()
    descriptor = theirs.fileno()
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(descriptor)],
        pass_fds=[descriptor],
        env={**os.environ, **_ENVIRONMENT},
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    return _Process(ours, process)

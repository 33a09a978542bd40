"""The seam between a campaign and what answers its requests: worker processes here, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol

from tvm_mutate.errors import MutateError


@dataclass(eq=False)
class Job:
    """A request with its future, and where it is best answered.

    Jobs of one ``pair`` need one lowered model, which takes seconds to get; jobs of one ``group`` share what is
    compiled for it, too.
    """

    request: Any
    pair: Hashable = None
    group: Hashable = None
    future: Future[Any] = field(default_factory=Future)


class WorkerDeathError(MutateError):
    """A worker process itself was killed, twice, over one request."""


# Told which worker, by number, is at which request now; None when it has nothing to do.
Observer = Callable[[int, Any], None]


class Engine(Protocol):
    """What answers requests: shaped like an executor of ``concurrent.futures``, and a context manager as those are.

    Each job's future gets the answer of :meth:`tvm_mutate.campaign.worker.Worker.answer`, or its exception: a
    WorkerDeathError where the worker itself died over the request, which is an outcome and no end of the campaign.
    Workers keep lowered models between requests; ``pair`` and ``group`` of a job say where they are of use.
    """

    def submit(self, jobs: Iterable[Job]) -> list[Future[Any]]:
        """The futures of the jobs, in order; all jobs at once, so that none is begun before all are known."""
        ...

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


EngineFactory = Callable[[Observer], Engine]

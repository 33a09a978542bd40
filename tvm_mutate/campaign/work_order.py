"""Which worker gets which job next: jobs of one kernel stay together, and go where their lowered model is loaded."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

_KEPT_PAIRS = 4  # a worker keeps that many lowered models
_NEWEST = 0.2  # the weight of the newest job in the mean

Group = tuple[Hashable, Hashable]


@dataclass(eq=False)
class Job:
    """A request with its future.

    Jobs of one ``pair`` share a lowered model, which takes seconds to load; jobs of one ``group`` also share compiled
    code.
    """

    request: Any
    pair: Hashable = None
    group: Hashable = None
    future: Future[Any] = field(default_factory=Future)


class WorkOrder:
    """The waiting jobs, by pair and group, and the last group of each worker.

    A worker stays with its group, then with its pair; then it takes a pair without a worker, then the pair with most
    jobs left if loading the model pays. A group is split only if no whole group is left.
    """

    def __init__(self, workers: int) -> None:
        self._waiting: dict[Hashable, dict[Hashable, deque[Job]]] = {}
        self._at: list[Group | None] = [None] * workers
        self._held: list[list[Hashable]] = [[] for _ in range(workers)]
        self._loading: dict[Hashable, float] = {}  # time of the first job of a pair, with loading
        self._seconds: dict[Hashable, float] = {}  # moving mean of the time of later jobs
        self._splits = itertools.count(1)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, job: Job, first: bool = False) -> None:
        """Adds a waiting job, as the last or the ``first`` of its group."""
        group = self._waiting.setdefault(job.pair, {}).setdefault(job.group, deque())
        (group.appendleft if first else group.append)(job)
        self._count += 1

    def note_time(self, job: Job, seconds: float) -> None:
        """Notes the time of a job, from which the order knows whether loading a model pays."""
        if job.pair not in self._loading:
            self._loading[job.pair] = seconds
            return
        before = self._seconds.get(job.pair, seconds)
        self._seconds[job.pair] = before + _NEWEST * (seconds - before)

    def take(self, worker: int) -> Job | None:
        """The best job for an idle worker, or None."""
        at = self._at[worker]
        self._at[worker] = at = at if at and self._left(at) else self._next_group(worker)
        return None if at is None else self._pop(worker, at)

    def take_ahead(self, worker: int) -> Job | None:
        """The next job for a busy worker, of the same pair; None unless there are more jobs than workers."""
        at = self._at[worker]
        if at is None or self._count <= len(self._at):
            return None
        if not self._left(at):
            at = next(self._free_groups(worker, at[0]), None)
        return None if at is None else self._pop(worker, at)

    def forget(self, worker: int) -> None:
        """Notes that a new process without loaded models replaces the worker."""
        self._at[worker] = None
        self._held[worker] = []

    def drain(self) -> Iterator[Job]:
        """Removes and returns all waiting jobs."""
        for groups in self._waiting.values():
            for jobs in groups.values():
                yield from jobs
        self._waiting, self._count = {}, 0

    def _pop(self, worker: int, at: Group) -> Job:
        pair, group = self._at[worker] = at
        jobs = self._waiting[pair][group]
        job = jobs.popleft()
        self._count -= 1
        if not jobs:
            del self._waiting[pair][group]
            if not self._waiting[pair]:
                del self._waiting[pair]
        held = self._held[worker]
        if pair in held:
            held.remove(pair)
        held.append(pair)
        del held[:-_KEPT_PAIRS]
        return job

    def _next_group(self, worker: int) -> Group | None:
        held = self._held[worker]
        kept = held[-1:] + [pair for pair in self._waiting if pair in held[:-1]]
        busy = {at[0] for number, at in enumerate(self._at) if at is not None and number != worker}
        for pair in kept + [pair for pair in self._waiting if pair not in busy]:
            for group in self._free_groups(worker, pair):
                return group
        rest = sorted(self._waiting, key=self._size, reverse=True)
        for pair in [pair for pair in rest if pair in held] + [pair for pair in rest if self._worth_loading(pair)]:
            return next(self._free_groups(worker, pair), None) or self._split(pair)
        return None

    def _free_groups(self, worker: int, pair: Hashable) -> Iterator[Group]:
        """The groups of a pair that no other worker has."""
        taken = {at for number, at in enumerate(self._at) if number != worker}
        return ((pair, group) for group in self._waiting.get(pair, {}) if (pair, group) not in taken)

    def _split(self, pair: Hashable) -> Group:
        """Makes the later half of the pair's largest group a new group."""
        groups = self._waiting[pair]
        largest = max(groups, key=lambda group: len(groups[group]))
        jobs = list(groups[largest])
        kept = len(jobs) // 2
        half = (largest, next(self._splits))
        groups[half] = deque(jobs[kept:])
        groups[largest] = deque(jobs[:kept])
        if not kept:
            del groups[largest]
        return pair, half

    def _worth_loading(self, pair: Hashable) -> bool:
        """Whether loading the pair's model takes less time than half of the jobs that are left."""
        return pair not in self._seconds or self._size(pair) * self._seconds[pair] / 2 > self._loading[pair]

    def _size(self, pair: Hashable) -> int:
        return sum(map(len, self._waiting[pair].values()))

    def _left(self, at: Group) -> bool:
        return bool(self._waiting.get(at[0], {}).get(at[1]))

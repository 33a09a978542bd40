"""Which worker answers which job next: those of one kernel together, those of one lowered model where it is loaded."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Hashable, Iterator

from tvm_mutate.campaign.engine import Job

# A worker keeps that many lowered models.
_KEPT_PAIRS = 4
_NEWEST = 0.2  # the weight of the newest job in the mean

Group = tuple[Hashable, Hashable]


class WorkOrder:
    """The jobs that wait, by pair and group, and what each worker was at last.

    A worker stays with its group, then with its pair; then it takes a pair that no other is at, and then from the pair
    with most left, if that is worth loading its model once more. A group is shared out only where no whole one is left.
    """

    def __init__(self, workers: int) -> None:
        self._waiting: dict[Hashable, dict[Hashable, deque[Job]]] = {}
        self._at: list[Group | None] = [None] * workers
        self._held: list[list[Hashable]] = [[] for _ in range(workers)]
        self._loading: dict[Hashable, float] = {}  # what a pair's first job took, which had to load its model
        self._seconds: dict[Hashable, float] = {}  # a moving mean of what a later one takes
        self._shares = itertools.count(1)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, job: Job, first: bool = False) -> None:
        """The job waits from now on, behind the others of its group, or ``first`` of them."""
        group = self._waiting.setdefault(job.pair, {}).setdefault(job.group, deque())
        (group.appendleft if first else group.append)(job)
        self._count += 1

    def took(self, job: Job, seconds: float) -> None:
        """Notes how long a job took, to know what is worth moving."""
        if job.pair not in self._loading:
            self._loading[job.pair] = seconds
            return
        before = self._seconds.get(job.pair, seconds)
        self._seconds[job.pair] = before + _NEWEST * (seconds - before)

    def take(self, worker: int) -> Job | None:
        """The job that an idle worker does best now, or None if there is none for it."""
        at = self._at[worker]
        self._at[worker] = at = at if at and self._left(at) else self._next_group(worker)
        return None if at is None else self._pop(worker, at)

    def take_ahead(self, worker: int) -> Job | None:
        """A job for a busy worker to have at hand: of its pair, and only while there are more than all can be at."""
        at = self._at[worker]
        if at is None or self._count <= len(self._at):
            return None
        if not self._left(at):
            at = next(self._free_groups(worker, at[0]), None)
        return None if at is None else self._pop(worker, at)

    def forget(self, worker: int) -> None:
        """A new process takes the worker's place: it holds nothing."""
        self._at[worker] = None
        self._held[worker] = []

    def drain(self) -> Iterator[Job]:
        """Takes out all jobs that wait."""
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
            return next(self._free_groups(worker, pair), None) or self._share(pair)
        return None

    def _free_groups(self, worker: int, pair: Hashable) -> Iterator[Group]:
        """The groups of a pair at which no other worker is."""
        taken = {at for number, at in enumerate(self._at) if number != worker}
        return ((pair, group) for group in self._waiting.get(pair, {}) if (pair, group) not in taken)

    def _share(self, pair: Hashable) -> Group:
        """The later half of the pair's largest group, as a group of its own."""
        groups = self._waiting[pair]
        largest = max(groups, key=lambda group: len(groups[group]))
        jobs = list(groups[largest])
        kept = len(jobs) // 2
        share = (largest, next(self._shares))
        groups[share] = deque(jobs[kept:])
        groups[largest] = deque(jobs[:kept])
        if not kept:
            del groups[largest]
        return pair, share

    def _worth_loading(self, pair: Hashable) -> bool:
        """Whether a worker that loads the pair's model has done so before others have done half of what is left."""
        return pair not in self._seconds or self._size(pair) * self._seconds[pair] / 2 > self._loading[pair]

    def _size(self, pair: Hashable) -> int:
        return sum(map(len, self._waiting[pair].values()))

    def _left(self, at: Group) -> bool:
        return bool(self._waiting.get(at[0], {}).get(at[1]))

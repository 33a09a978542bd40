"""A forked child that answers requests one after another, and keeps between them what it needs for that."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import IO, Any

from tvm_mutate.device.isolation import (
    PATIENCE,
    Ending,
    EndingKind,
    Stage,
    TimeLimit,
    answer,
    be_child,
    kill_group,
    own_bytes,
    processor_seconds,
    wait_for,
    watch,
)

Answer = Callable[[Stage, Any], Any]


class LastingChild:
    """A child that is forked at the first request, and again after one that it did not survive.

    ``make`` is called in the child at its first request; what it gives answers that and those that follow. Requests and
    values have to be picklable. Limits are those of :func:`run_isolated`, for each request anew; ``headroom_bytes``
    counts from when the child began. A child that has taken more than ``most_kept_bytes`` of memory and not given them
    back after a request is replaced. The caller must not have started TVM's thread pool (TVM_NUM_THREADS=1).
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

    @property
    def is_there(self) -> bool:
        """Whether a child is there now that has answered something."""
        return self._child is not None

    def ask(self, request: Any, seconds: float) -> Ending:
        """The ending of a request; the child is gone afterwards unless it finished or raised."""
        for _ in range(2):
            fresh = self._child is None
            self._child = self._child or _Child(self._make, self._headroom)
            ending = self._child.ask(request, seconds, self._patience)
            if ending.kind in (EndingKind.FINISHED, EndingKind.RAISED):
                if self._most_kept is not None and self._child.kept_bytes() > self._most_kept:
                    self.close()
                return ending
            self.close()
            if fresh or ending.stage != "start":
                break
            # Somebody ended it while it had nothing to do.
        return ending

    def close(self) -> None:
        """Ends the child, and with it all that it holds."""
        if self._child is not None:
            self._child.close()
            self._child = None


class _Child:
    def __init__(self, make: Callable[[Stage], Answer], headroom: int | None) -> None:
        self._connection, theirs = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._files = contextlib.ExitStack()
        self._output: IO[bytes] = self._files.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._process = os.fork()
        if self._process == 0:
            self._connection.close()
            be_child(lambda: _serve(make, theirs), self._output.fileno(), headroom)
        theirs.close()
        self._inherited = own_bytes(self._process)

    def ask(self, request: Any, seconds: float, patience: float) -> Ending:
        # Child and parent share the place in the file: what it says from now on is of this request.
        self._output.truncate(0)
        self._output.seek(0)
        limit = TimeLimit(self._process, seconds, time.monotonic(), patience, self._used())
        with contextlib.suppress(OSError):  # it is dead: that is what is heard of it
            self._connection.send(request)
        return watch(self._process, self._connection, limit, self._output.fileno())

    def kept_bytes(self) -> int:
        """The memory that it has taken since it began and not given back."""
        return own_bytes(self._process) - self._inherited

    def _used(self) -> float:
        used = processor_seconds(self._process)
        return 0.0 if used == float("inf") else used

    def close(self) -> None:
        kill_group(self._process)
        wait_for(self._process)
        self._connection.close()
        self._files.close()


def _serve(make: Callable[[Stage], Answer], connection: Connection) -> None:
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

"""Requests as bytes for one worker: what many requests have in common is sent to it once."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm_mutate.campaign.record import Baseline
from tvm_mutate.campaign.subject import Subject

# These have an entry for every input, and many requests have the same ones.
_SHARED = (Subject, Baseline)


@dataclass(frozen=True)
class Written:
    """A request as bytes, and what whoever reads them keeps for later requests, by number."""

    content: bytes
    kept: Mapping[int, Any]


class RequestWriter:
    """Writes requests for one worker process, which reads them in the order in which they are sent.

    A process that takes the place of another has read nothing yet: it needs a writer of its own.
    """

    def __init__(self) -> None:
        self._sent: dict[int, Any] = {}  # numbered by id(), which no other object gets while they are kept here

    def write(self, request: Any) -> Written:
        """The request as bytes; whoever sends them tells :meth:`sent`."""
        buffer = io.BytesIO()
        pickler = _Pickler(buffer, self._sent)
        pickler.dump(request)
        return Written(buffer.getvalue(), pickler.kept)

    def sent(self, written: Written) -> None:
        """Notes that the bytes are on their way to the worker."""
        self._sent.update(written.kept)


class RequestReader:
    """Reads what one RequestWriter wrote, in the order in which it was sent."""

    def __init__(self) -> None:
        self._kept: dict[int, Any] = {}

    def read(self, content: bytes) -> Any:
        """The request."""
        return _Unpickler(io.BytesIO(content), self._kept).load()


class _Pickler(pickle.Pickler):
    """Puts the number of what is shared in its place, with its bytes where it has not been sent."""

    def __init__(self, file: io.BytesIO, sent: Mapping[int, Any]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._sent = sent
        self.kept: dict[int, Any] = {}

    def persistent_id(self, value: Any) -> tuple[int, bytes | None] | None:
        """The number and the bytes of what is shared; None for all else, which is pickled as usual."""
        if type(value) not in _SHARED:
            return None
        number = id(value)
        if number in self._sent or number in self.kept:
            return number, None
        self.kept[number] = value
        return number, pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


class _Unpickler(pickle.Unpickler):
    """Puts what is shared in the place of its number."""

    def __init__(self, file: io.BytesIO, kept: dict[int, Any]) -> None:
        super().__init__(file)
        self._kept = kept

    def persistent_load(self, identity: tuple[int, bytes | None]) -> Any:
        """What has the number, now or since an earlier request."""
        number, content = identity
        if content is not None:
            self._kept[number] = pickle.loads(content)
        return self._kept[number]

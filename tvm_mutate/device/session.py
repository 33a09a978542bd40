"""Sessions on devices that last over many requests, and are opened again when they broke, aged or were harmed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tvm_mutate.device.device import Device
from tvm_mutate.device.isolation import ENDURANCE, PATIENCE, Ending, EndingKind, Stage
from tvm_mutate.device.lasting import Answer, LastingChild
from tvm_mutate.device.local import Local, Place
from tvm_mutate.device.persistence import ATTEMPTS, CLIENT_PATIENCE, CONNECTING, RemoteTasks, absence_of, ended
from tvm_mutate.device.remote import Break, DeviceLostError, demand_for

# A session is renewed when so much of its time is over: a request that begins then has the rest.
_AGE = 0.5
# Others who wait for the device get it after so many seconds; making golden values anew has to be worth it.
_TURN_SECONDS = 20.0

MakeAnswer = Callable[[Stage, Place], Answer]


class LastingSession:
    """A session on one device in a child of its own, which answers requests and keeps between them what lies there.

    ``make`` is called in the child with the place that it is to open, and gives what answers requests. ``running`` is
    the stage in which code of a request runs: what goes wrong in another is the doing of the device, and the request is
    tried again, three times in all. ``headroom_bytes`` limits the memory of the child.
    """

    def __init__(
        self, device: Device, make: MakeAnswer, running: str, tasks: RemoteTasks, headroom_bytes: int | None = None
    ) -> None:
        self.device = device
        self._make, self._running, self._tasks = make, running, tasks
        patience = CLIENT_PATIENCE if device.is_remote else PATIENCE
        self._child = LastingChild(self._open, headroom_bytes, patience)
        self._since, self._seconds = 0.0, 0.0
        self._harmed = False

    @property
    def is_open(self) -> bool:
        """Whether a session is held now."""
        return self._child.is_there

    def ask(self, request: Any, seconds: float, harmful: bool = False) -> Ending:
        """The ending of a request within the time limit; its kind is ``lost``, too, as in :class:`RemoteTasks`.

        A ``harmful`` one may write over what others need: one that ends badly in a session that had such a request
        before is tried again in a new one. So is one whose session reached its own limit because it was old.
        """
        for _ in range(ATTEMPTS):
            self._renew(seconds)
            young, harmed = not self.is_open, self._harmed
            ending = self._child.ask(request, seconds)
            self._harmed |= harmful
            found = ending.value
            if ending.kind == EndingKind.FINISHED and not isinstance(found, Break):
                return self._noted(ending)
            if not (ending.kind == EndingKind.RAISED and ending.stage == self._running):
                self.close()
            if isinstance(found, Break) and found.kind == EndingKind.LOST:
                return self._noted(ended(ending, EndingKind.LOST, found.reason))
            if ending.kind == EndingKind.TIMED_OUT and ending.stage == CONNECTING:
                break
            own = ending.stage == self._running and not (isinstance(found, Break) and found.kind is None)
            old = isinstance(found, Break) and found.kind == EndingKind.TIMED_OUT and not young
            if own and not old and not harmed:
                return self._noted(self._told(ending))
            self.close()
        return self._noted(self._given_up(ending))

    def close(self) -> None:
        """Gives the session back, with all that lies there; the next request opens another."""
        self._child.close()
        self._harmed = False

    def close_if_wanted(self) -> None:
        """Gives the session back where others wait for the device, and this one has had its turn."""
        held = time.monotonic() - self._since
        if self.is_open and self.device.is_remote and held > _TURN_SECONDS and demand_for(self.device).waiting:
            self.close()

    def _renew(self, seconds: float) -> None:
        if self.is_open and self.device.is_remote and time.monotonic() - self._since > _AGE * self._seconds:
            self.close()
        if not self.is_open:
            self._since = time.monotonic()
            self._seconds = self.device.session_timeout or ENDURANCE * seconds / (1 - _AGE)

    def _open(self, stage: Stage) -> Answer:
        try:
            place = self._place(stage)
        except DeviceLostError as error:
            lost = Break(EndingKind.LOST, str(error))
            return lambda _stage, _request: lost
        made: list[Answer] = []

        def answered(stage: Stage, request: Any) -> Any:
            try:
                if not made:
                    made.append(self._make(stage, place))
                return made[0](stage, request)
            except Exception as error:
                found = place.break_of(error)
                if found is None:
                    raise
                return found

        return answered

    def _place(self, stage: Stage) -> Place:
        return self._tasks.remote(self.device, self._seconds, stage) if self.device.is_remote else Local(self.device)

    def _told(self, ending: Ending) -> Ending:
        """What a request came to that is to blame itself."""
        if isinstance(ending.value, Break) and ending.value.kind is not None:
            return ended(ending, ending.value.kind, ending.value.reason)
        if ending.kind == EndingKind.TIMED_OUT and self.device.is_remote:
            absence = absence_of(self.device, ending.stage, self._running)
            return ended(ending, EndingKind.LOST, absence) if absence else ending
        return ending

    def _given_up(self, ending: Ending) -> Ending:
        """What is said of a request after the last attempt."""
        reason = ending.value.reason if isinstance(ending.value, Break) else ending.reason
        if ending.stage == self._running:
            return ended(ending, EndingKind.DIED, f"the connection broke {ATTEMPTS} times: {reason}")
        absence = absence_of(self.device, ending.stage, self._running) if self.device.is_remote else ""
        return ended(
            ending, EndingKind.LOST, absence or f"device {self.device.name}: no session could be prepared: {reason}"
        )

    def _noted(self, ending: Ending) -> Ending:
        self._tasks.note(self.device, ending)
        return ending

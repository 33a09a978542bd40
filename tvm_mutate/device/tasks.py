"""Tasks on devices in child processes; a task runs again if its session broke and the device came back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tvm_mutate.device.device import Device
from tvm_mutate.device.isolation import (
    ENDURANCE,
    PATIENCE,
    Answer,
    Ending,
    EndingKind,
    PersistentChild,
    Stage,
    run_isolated,
)
from tvm_mutate.device.session import (
    DeviceLostError,
    LocalSession,
    RemoteSession,
    Session,
    SessionFailure,
    demand_for,
    why_absent,
)

_CONNECTING = "connect"
_ATTEMPTS = 3
# A client mostly waits for its device and uses little processor time, so its wall-clock limit decides.
_CLIENT_PATIENCE = 2.0
_PROBE_SECONDS = 60.0
# A session is renewed after this share of its time: a request that begins then has the rest.
_AGE = 0.5
# A client that waits for the device gets it after this many seconds; computing golden values again has to pay.
_TURN_SECONDS = 20.0


class RemoteTasks:
    """Runs tasks on remote devices, each in a child with a time limit; remembers which devices were lost."""

    def __init__(self) -> None:
        self._lost: set[str] = set()

    def run(
        self,
        device: Device,
        task: Callable[[Stage, RemoteSession], Any],
        running: str,
        seconds: float,
        headroom_bytes: int | None = None,
    ) -> Ending:
        """The ending of a task; the kind is LOST if the device went away and did not come back in time.

        If the connection breaks, the task waits for the device and runs again. Three breaks in a row count as a death
        of the task. A task that times out in the stage ``running``, where it has a session, has timed out only if the
        device still answers. A lost device is not waited for until it has answered again.
        """
        for _ in range(_ATTEMPTS):
            ending = self._attempt(device, task, seconds, headroom_bytes)
            failure = ending.value
            if not isinstance(failure, SessionFailure) or failure.kind is not None:
                break
        if isinstance(failure, SessionFailure):
            if failure.kind is None:
                return _ended(ending, EndingKind.DIED, f"the connection broke {_ATTEMPTS} times: {failure.reason}")
            ending = _ended(ending, failure.kind, failure.reason)
        if ending.kind == EndingKind.TIMED_OUT:
            ending = _lost_if_absent(ending, device, running)
        self.note(device, ending)
        return ending

    def note(self, device: Device, ending: Ending) -> None:
        """Remembers whether a task lost the device."""
        (self._lost.add if ending.kind == EndingKind.LOST else self._lost.discard)(device.name)

    def session(self, device: Device, seconds: float, stage: Stage) -> RemoteSession:
        """A session for a task to open; the server ends the session after ``seconds``.

        Raises DeviceLostError for a device that was lost and has not come back.
        """
        was_lost = device.name in self._lost
        if was_lost and (absence := why_absent(device)):
            raise DeviceLostError(absence)
        return RemoteSession(device, seconds, 0.0 if was_lost else device.patience, lambda: stage(_CONNECTING))

    def _attempt(
        self, device: Device, task: Callable[[Stage, RemoteSession], Any], seconds: float, headroom_bytes: int | None
    ) -> Ending:
        def guarded(stage: Stage) -> Any:
            try:
                session = self.session(device, ENDURANCE * seconds, stage)
            except DeviceLostError as error:
                return SessionFailure(EndingKind.LOST, str(error))
            return _result_or_failure(session, lambda: task(stage, session))

        return run_isolated(guarded, seconds, headroom_bytes, _CLIENT_PATIENCE)


class PersistentSession:
    """A session on one device in a child process that answers requests; tensors stay on the device between them.

    ``make`` is called in the child with the session to open, and gives the function that answers requests. ``running``
    is the stage in which code of a request runs: the device is to blame for errors in other stages, and the request is
    tried three times. ``headroom_bytes`` limits the memory of the child.
    """

    def __init__(
        self,
        device: Device,
        make: Callable[[Stage, Session], Answer],
        running: str,
        tasks: RemoteTasks,
        headroom_bytes: int | None = None,
    ) -> None:
        self.device = device
        self._make, self._running, self._tasks = make, running, tasks
        patience = _CLIENT_PATIENCE if device.is_remote else PATIENCE
        self._child = PersistentChild(self._open, headroom_bytes, patience)
        self._since, self._seconds = 0.0, 0.0
        self._harmed = False

    @property
    def is_open(self) -> bool:
        """Whether a session is open now."""
        return self._child.is_running

    def ask(self, request: Any, seconds: float, harmful: bool = False) -> Ending:
        """The ending of a request within the time limit; the kind may be LOST, as in :class:`RemoteTasks`.

        A ``harmful`` request may overwrite golden values: a request that fails in a session after such a request is
        tried again in a new session. So is a request whose session reached the server's limit because of its age.
        """
        ending = self._ask(request, seconds, harmful)
        self._tasks.note(self.device, ending)
        return ending

    def _ask(self, request: Any, seconds: float, harmful: bool) -> Ending:
        for _ in range(_ATTEMPTS):
            self._renew(seconds)
            is_new, was_harmed = not self.is_open, self._harmed
            ending = self._child.ask(request, seconds)
            self._harmed |= harmful
            failure = ending.value if isinstance(ending.value, SessionFailure) else None
            if ending.kind == EndingKind.FINISHED and failure is None:
                return ending
            is_running = ending.stage == self._running
            if not (ending.kind == EndingKind.RAISED and is_running):
                self.close()
            if failure is not None and failure.kind == EndingKind.LOST:
                return _ended(ending, EndingKind.LOST, failure.reason)
            if ending.kind == EndingKind.TIMED_OUT and ending.stage == _CONNECTING:
                break
            is_broken = failure is not None and failure.kind is None
            is_old = failure is not None and failure.kind == EndingKind.TIMED_OUT and not is_new
            if is_running and not (is_broken or is_old or was_harmed):
                return self._fault_of_request(ending, failure)
            self.close()
        return self._given_up(ending)

    def close(self) -> None:
        """Gives the session back with all tensors on the device; the next request opens another."""
        self._child.close()
        self._harmed = False

    def close_if_wanted(self) -> None:
        """Gives the session back if it has had its turn and another client waits for the device."""
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
        session: Session
        try:
            is_remote = self.device.is_remote
            session = self._tasks.session(self.device, self._seconds, stage) if is_remote else LocalSession(self.device)
        except DeviceLostError as error:
            lost = SessionFailure(EndingKind.LOST, str(error))
            return lambda _stage, _request: lost
        made: list[Answer] = []

        def answered(stage: Stage, request: Any) -> Any:
            if not made:
                made.append(self._make(stage, session))
            return made[0](stage, request)

        return lambda stage, request: _result_or_failure(session, lambda: answered(stage, request))

    def _fault_of_request(self, ending: Ending, failure: SessionFailure | None) -> Ending:
        if failure is not None and failure.kind is not None:
            return _ended(ending, failure.kind, failure.reason)
        if ending.kind == EndingKind.TIMED_OUT and self.device.is_remote:
            return _lost_if_absent(ending, self.device, self._running)
        return ending

    def _given_up(self, ending: Ending) -> Ending:
        """The ending of a request after the last attempt."""
        reason = ending.value.reason if isinstance(ending.value, SessionFailure) else ending.reason
        if ending.stage == self._running:
            return _ended(ending, EndingKind.DIED, f"the connection broke {_ATTEMPTS} times: {reason}")
        absence = _absence(self.device, ending.stage, self._running) if self.device.is_remote else ""
        absence = absence or f"device {self.device.name}: no session could be prepared: {reason}"
        return _ended(ending, EndingKind.LOST, absence)


def why_no_session(device: Device, patience: float | None = None) -> str:
    """Why no session on a remote device can be opened, as a sentence; empty if one can."""

    def probe(stage: Stage) -> str:
        stage(_CONNECTING)
        waited = device.patience if patience is None else patience
        try:
            RemoteSession(device, _PROBE_SECONDS, waited, lambda: stage(_CONNECTING)).open()
        except DeviceLostError as error:
            return str(error)
        return ""

    ending = run_isolated(probe, _PROBE_SECONDS, patience=_CLIENT_PATIENCE)
    if ending.kind != EndingKind.FINISHED:
        return f"device {device.name}: its server does not answer ({ending.reason})"
    return str(ending.value)


def _result_or_failure(session: Session, work: Callable[[], Any]) -> Any:
    """The result of ``work()``, or how the session failed; raises the errors of the program itself."""
    try:
        return work()
    except Exception as error:
        failure = session.failure_of(error)
        if failure is None:
            raise
        return failure


def _lost_if_absent(ending: Ending, device: Device, running: str) -> Ending:
    absence = _absence(device, ending.stage, running)
    return _ended(ending, EndingKind.LOST, absence) if absence else ending


def _absence(device: Device, stage: str, running: str) -> str:
    """Why the device is to blame for a task that timed out in a stage; empty if it is not."""
    if stage == _CONNECTING:
        return f"device {device.name}: a server took the connection and said nothing"
    return why_no_session(device) if stage == running else ""


def _ended(ending: Ending, kind: EndingKind, reason: str) -> Ending:
    """The ending with another kind and reason, and without a value."""
    return replace(ending, kind=kind, value=None, reason=reason)

"""Tasks on remote devices, which are run again when a connection broke and the device came back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tvm_mutate.device.device import Device
from tvm_mutate.device.isolation import ENDURANCE, Ending, EndingKind, Stage, run_isolated
from tvm_mutate.device.remote import Break, DeviceLostError, Remote, why_absent

CONNECTING = "connect"
ATTEMPTS = 3
# A client waits for its device, and has no processor time of its own: that is how much longer it may take.
CLIENT_PATIENCE = 2.0
_FAREWELL_SECONDS = 60.0

Task = Callable[[Stage, Remote], Any]


class RemoteTasks:
    """Runs tasks on remote devices, each in a child with a limit of time; remembers which devices were lost."""

    def __init__(self) -> None:
        self._lost: set[str] = set()

    def run(
        self, device: Device, task: Task, running: str, seconds: float, headroom_bytes: int | None = None
    ) -> Ending:
        """The ending of a task; its kind is ``lost``, too, where the device went away and did not come back in time.

        When a connection breaks, the device is waited for and the task is run again. Three in a row are taken for the
        task's own doing, a death. A task that does not end in time in the stage ``running``, in which it has a session,
        is only said to have timed out where the device answers afterwards. A device that was lost is not waited for
        again until it has answered.
        """
        for _ in range(ATTEMPTS):
            ending = self._attempt(device, task, seconds, headroom_bytes)
            if not isinstance(ending.value, Break) or ending.value.kind is not None:
                break
        found = ending.value
        if isinstance(found, Break):
            if found.kind is None:
                return ended(ending, EndingKind.DIED, f"the connection broke {ATTEMPTS} times: {found.reason}")
            ending = ended(ending, found.kind, found.reason)
        if ending.kind == EndingKind.TIMED_OUT:
            absence = absence_of(device, ending.stage, running)
            ending = ended(ending, EndingKind.LOST, absence) if absence else ending
        self.note(device, ending)
        return ending

    def note(self, device: Device, ending: Ending) -> None:
        """Remembers whether the device was lost over a task."""
        (self._lost.add if ending.kind == EndingKind.LOST else self._lost.discard)(device.name)

    def remote(self, device: Device, seconds: float, stage: Stage) -> Remote:
        """A session to be opened by a task, which the server ends after so many seconds.

        Raises DeviceLostError for a device that was lost and has not come back.
        """
        impatient = device.name in self._lost
        if impatient and (absence := why_absent(device)):
            raise DeviceLostError(absence)
        return Remote(device, seconds, 0.0 if impatient else device.patience, lambda: stage(CONNECTING))

    def _attempt(self, device: Device, task: Task, seconds: float, headroom: int | None) -> Ending:
        def guarded(stage: Stage) -> Any:
            try:
                remote = self.remote(device, ENDURANCE * seconds, stage)
            except DeviceLostError as error:
                return Break(EndingKind.LOST, str(error))
            try:
                return task(stage, remote)
            except Exception as error:
                found = remote.break_of(error)
                if found is None:
                    raise
                return found

        return run_isolated(guarded, seconds, headroom, CLIENT_PATIENCE)


def absence_of(device: Device, stage: str, running: str) -> str:
    """Why the device is to blame for a task that did not end in time in a stage; empty where it is not."""
    if stage == CONNECTING:
        return f"device {device.name}: a server took the connection and said nothing"
    return why_no_session(device) if stage == running else ""


def why_no_session(device: Device, patience: float | None = None) -> str:
    """Why no session on a remote device can be had, as a sentence; empty where it can."""

    def probe(stage: Stage) -> str:
        stage(CONNECTING)
        waited = device.patience if patience is None else patience
        try:
            Remote(device, _FAREWELL_SECONDS, waited, lambda: stage(CONNECTING)).open()
        except DeviceLostError as error:
            return str(error)
        return ""

    ending = run_isolated(probe, _FAREWELL_SECONDS, patience=CLIENT_PATIENCE)
    if ending.kind != EndingKind.FINISHED:
        return f"device {device.name}: its server does not answer ({ending.reason})"
    return str(ending.value)


def ended(ending: Ending, kind: EndingKind, reason: str) -> Ending:
    """An ending without a value, of another kind and for another reason."""
    return replace(ending, kind=kind, value=None, reason=reason)

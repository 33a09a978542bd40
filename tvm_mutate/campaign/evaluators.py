"""The evaluators that one worker keeps: all but the one that is at work hold nothing that others may need."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

from tvm_mutate.campaign.recent import Recent
from tvm_mutate.device import Device, demand_for
from tvm_mutate.evaluate import SessionEvaluator


class Resting(Protocol):
    """What holds a child, or a session on a device, only while it is at work."""

    def rest(self) -> None:
        """Gives back what is held."""


Evaluator = TypeVar("Evaluator", bound=Resting)


class WorkerEvaluators(Recent[Evaluator]):
    """The last few evaluators of a worker, by subject and device; those that were not asked for last are at rest."""

    def of(self, key: Hashable, make: Callable[[], Evaluator]) -> Evaluator:
        """The evaluator of a subject on a device, made if it is not there."""
        for other, evaluator in self._values.items():
            if other != key:
                evaluator.rest()
        return super().of(key, make)

    def rest(self) -> None:
        """Gives back what is held."""
        for evaluator in self._values.values():
            evaluator.rest()


class WorkerSessions(WorkerEvaluators[SessionEvaluator]):
    """The session evaluators of a worker; the others of a device need its servers, too."""

    def make_way(self, device: Device) -> None:
        """Gives back a session on a remote device that is needed otherwise now, unless there is a free server."""
        for evaluator in self._values.values():
            held = evaluator.session
            if held.is_open and held.device.session == device.session and not demand_for(device).free:
                held.close()

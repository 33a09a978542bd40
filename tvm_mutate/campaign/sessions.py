"""The sessions on devices that one worker holds: one at a time, and none while it has nothing to do."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from tvm_mutate.device import Device, demand_for
from tvm_mutate.evaluate import SessionEvaluator

_KEPT = 4
Key = tuple[str, str]


class WorkerSessions:
    """The session evaluators of a worker, the last few of them; the others of a device need its servers, too."""

    def __init__(self) -> None:
        self._evaluators: OrderedDict[Key, SessionEvaluator] = OrderedDict()

    def of(self, key: Key, make: Callable[[], SessionEvaluator]) -> SessionEvaluator:
        """The evaluator of a subject on a device, made if it is not there; every other one gives its session back."""
        if key not in self._evaluators:
            self._evaluators[key] = make()
        self._evaluators.move_to_end(key)
        for other, evaluator in self._evaluators.items():
            if other != key:
                evaluator.session.close()
        while len(self._evaluators) > _KEPT:
            self._evaluators.popitem(last=False)
        return self._evaluators[key]

    def make_way(self, device: Device) -> None:
        """Gives back a session on a remote device that is needed otherwise now, unless there is a free server."""
        for evaluator in self._evaluators.values():
            held = evaluator.session
            if held.is_open and held.device.session == device.session and not demand_for(device).free:
                held.close()

    def close(self) -> None:
        """Gives back what is held."""
        for evaluator in self._evaluators.values():
            evaluator.session.close()

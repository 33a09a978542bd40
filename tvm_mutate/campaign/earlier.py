"""An earlier campaign, whose verdicts are carried over where what they were about has not changed."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from tvm_mutate.campaign.journal import read_journal
from tvm_mutate.campaign.subject import Plan, Subject
from tvm_mutate.campaign.survey import Survey
from tvm_mutate.device import Device
from tvm_mutate.oracle import Verdict, parse_oracle
from tvm_mutate.results import MutantRow

# A survivor is looked at again, because it is what somebody works on; so is what has no verdict.
_CARRIED_VERDICTS = (Verdict.KILLED, Verdict.EQUIVALENT)
_JUDGED_BY = ("oracle", "until", "precision")


class Earlier:
    """What an earlier campaign decided, read from the journal in its output folder; raises UsageError.

    ``obstacle`` says why none of it can be carried over into the campaign of ``plan``; it is empty otherwise.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        asked, rows = read_journal(folder)
        self.obstacle = _obstacle(asked, plan)
        self._inputs = {subject["name"]: subject["inputs_digest"] for subject in asked["subjects"]}
        self._compiled = {name: tuple(rest) for name, *rest in asked["devices"]}
        self._rows: dict[tuple[str, tuple[str, ...]], list[MutantRow]] = defaultdict(list)
        for row in rows:
            if row.verdict in _CARRIED_VERDICTS and row.place_digest:
                self._rows[row.model, self._compiled[row.device]].append(row)

    def carried(self, subject: Subject, device: Device, survey: Survey) -> dict[str, MutantRow]:
        """The rows that hold for the subject on the device still, by mutant id, marked as carried over.

        They do where the inputs and the device are the same but for its name, and the functions that the mutant changes
        are structurally what they were.
        """
        if self.obstacle or self._inputs.get(subject.name) != subject.inputs_digest:
            return {}
        return {
            row.id: msgspec.structs.replace(row, device=device.name, carried=True)
            for row in self._rows[subject.name, device.identity()[1:]]
            if survey.places.get(row.id) == row.place_digest
        }


def _obstacle(asked: dict[str, Any], plan: Plan) -> str:
    for name in sorted({*plan.versions, *asked["versions"]}):
        before, now = asked["versions"].get(name), plan.versions.get(name)
        if before != now:
            return f"it had {name} {before}, and this is {now}"
    before, now = asked["specification"], plan.mapping()["specification"]
    for name in _JUDGED_BY:
        if _judged(name, before.get(name)) != _judged(name, now[name]):
            return f"it had --{name} {before.get(name)}, and this has {now[name]}"
    return ""


def _judged(name: str, value: Any) -> Any:
    return str(parse_oracle(value)) if name == "oracle" else value

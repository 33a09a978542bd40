"""Which mutants of a campaign are asked about accesses outside their buffers, and what becomes of the answers."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from tvm_mutate.campaign.discrepancies import is_discrepant
from tvm_mutate.campaign.requests import UndefinedRequest
from tvm_mutate.campaign.subject import Subject
from tvm_mutate.device import Device
from tvm_mutate.evaluate import UNDEFINED, UNKNOWN, Examination
from tvm_mutate.kernels import parse_target

Row = dict[str, Any]
Place = tuple[str, str]  # a model and a mutant of it
NAMED = ("discrepant", "all", "none")
_HERE = Device("llvm", "llvm")


def undefined_requests(
    named: str,
    rows: Iterable[Row],
    discrepancies: Iterable[Row],
    subjects: Sequence[Subject],
    devices: Sequence[Device],
) -> list[UndefinedRequest]:
    """The requests about the mutants that differ between devices (``discrepant``), about ``all`` or ``none``.

    One a mutant, on the first of its devices whose code runs on this machine's processor; else on plain ``llvm``.
    Mutants that are equivalent on all of their devices have nothing to be asked.
    """
    on: defaultdict[Place, list[Row]] = defaultdict(list)
    for row in rows:
        on[row["model"], row["id"]].append(row)
    discrepant = {(row["model"], row["id"]) for row in discrepancies if is_discrepant(row)}
    wanted = {"discrepant": discrepant, "all": {*on}, "none": set()}[named]
    by_name = {subject.name: subject for subject in subjects}
    requests = []
    for (model, mutant), found in on.items():
        if (model, mutant) in wanted and any(row["rung"] and row["verdict"] != "equivalent" for row in found):
            here = {row["device"] for row in found}
            device = next((each for each in devices if each.name in here and _runs_here(each)), _HERE)
            requests.append(UndefinedRequest(by_name[model], device, mutant))
    return requests


def undefined_row(request: UndefinedRequest, found: Examination) -> Row:
    """The row of what was found of one mutant's accesses."""
    return {
        "id": request.mutant,
        "model": request.subject.name,
        "target": request.device.target,
        "kernels": sorted({each.kernel for each in found.accesses}),
        **asdict(found),
        "accesses": [asdict(each) for each in found.accesses],
    }


def with_behaviours(discrepancies: Iterable[Row], rows: Iterable[Row], examined: Mapping[Place, Row]) -> list[Row]:
    """The discrepancies with the behaviour of each mutant that has any: defined, undefined or unknown.

    It is undefined, too, where a red zone told so while the mutant was evaluated, on whatever device that was.
    """
    seen = {(row["model"], row["id"]) for row in rows if row["undefined"]}
    told = []
    for row in discrepancies:
        place = (row["model"], row["id"])
        behaviour = examined[place]["behaviour"] if place in examined else UNKNOWN
        behaviour = UNDEFINED if place in seen else behaviour
        told.append({**row, "behaviour": behaviour if is_discrepant(row) else None})
    return told


def _runs_here(device: Device) -> bool:
    if not device.is_processor:
        return False
    triple = str(parse_target(device.target).attrs.get("mtriple", ""))
    return not triple or triple.partition("-")[0] == platform.machine()

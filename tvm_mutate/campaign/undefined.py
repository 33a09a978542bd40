"""Which mutants of a campaign are asked about accesses outside their buffers, and what becomes of the answers."""

from __future__ import annotations

import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import msgspec

from tvm_mutate.campaign.requests import UndefinedRequest
from tvm_mutate.campaign.subject import Subject
from tvm_mutate.device import Device
from tvm_mutate.evaluate import Examination
from tvm_mutate.kernels import parse_target
from tvm_mutate.oracle import Behaviour, Verdict
from tvm_mutate.results import AccessRow, DiscrepancyRow, MutantRow, UndefinedRow

Place = tuple[str, str]  # a model and a mutant of it
NAMED = ("discrepant", "all", "none")
_HERE = Device("llvm", "llvm")


def undefined_requests(
    named: str,
    rows: Iterable[MutantRow],
    discrepancies: Iterable[DiscrepancyRow],
    subjects: Sequence[Subject],
    devices: Sequence[Device],
) -> list[UndefinedRequest]:
    """The requests about the mutants that differ between devices (``discrepant``), about ``all`` or ``none``.

    One a mutant, on the first of its devices whose code runs on this machine's processor; else on plain ``llvm``.
    Mutants that are equivalent on all of their devices have nothing to be asked.
    """
    on: defaultdict[Place, list[MutantRow]] = defaultdict(list)
    for row in rows:
        on[row.model, row.id].append(row)
    discrepant = {(row.model, row.id) for row in discrepancies if row.is_discrepant}
    wanted = {"discrepant": discrepant, "all": {*on}, "none": set()}[named]
    by_name = {subject.name: subject for subject in subjects}
    requests = []
    for (model, mutant), found in on.items():
        if (model, mutant) in wanted and any(row.rung and row.verdict is not Verdict.EQUIVALENT for row in found):
            here = {row.device for row in found}
            device = next((each for each in devices if each.name in here and _runs_here(each)), _HERE)
            requests.append(UndefinedRequest(by_name[model], device, mutant))
    return requests


def undefined_row(request: UndefinedRequest, found: Examination) -> UndefinedRow:
    """The row of what was found of one mutant's accesses."""
    return UndefinedRow(
        id=request.mutant,
        model=request.subject.name,
        target=request.device.target,
        behaviour=found.behaviour,
        kernels=tuple(sorted({each.kernel for each in found.accesses})),
        accesses=tuple(AccessRow(**asdict(each)) for each in found.accesses),
        indices=found.indices,
        red_zones=found.red_zones,
        sanitizer=found.sanitizer,
    )


def with_behaviours(
    discrepancies: Iterable[DiscrepancyRow], rows: Iterable[MutantRow], examined: Mapping[Place, UndefinedRow]
) -> list[DiscrepancyRow]:
    """The discrepancies with the behaviour of each mutant that is discrepant: defined, undefined or unknown.

    It is undefined, too, if a red zone showed that while the mutant was evaluated on any device.
    """
    seen = {(row.model, row.id) for row in rows if row.undefined}

    def behaviour_of(row: DiscrepancyRow) -> Behaviour | None:
        place = (row.model, row.id)
        if not row.is_discrepant:
            return None
        if place in seen:
            return Behaviour.UNDEFINED
        return examined[place].behaviour if place in examined else Behaviour.UNKNOWN

    return [msgspec.structs.replace(row, behaviour=behaviour_of(row)) for row in discrepancies]


def _runs_here(device: Device) -> bool:
    if not device.is_processor:
        return False
    triple = str(parse_target(device.target).attrs.get("mtriple", ""))
    return not triple or triple.partition("-")[0] == platform.machine()

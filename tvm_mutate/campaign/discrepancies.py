"""Differences between devices: of unmutated builds and of mutants, and whether they come from undefined behaviour."""

from __future__ import annotations

import itertools
import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from tvm_mutate.campaign.plan import Subject
from tvm_mutate.campaign.worker import UndefinedRequest
from tvm_mutate.device import Device
from tvm_mutate.kernels import parse_target
from tvm_mutate.oracle import Behaviour, Verdict, compare, device_disagreement, largest_differences
from tvm_mutate.results import AgreementRow, DiscrepancyRow, MutantRow, UndefinedRow
from tvm_mutate.samples import Samples

ModelAndMutant = tuple[str, str]
NAMED = ("discrepant", "all", "none")


@dataclass(frozen=True)
class Unmutated:
    """The outputs of the unmutated build of one model on one device; labels are None if the model is no classifier.

    ``outputs`` is None if only labels are known, as in a file of results. ``noise_floor`` is the largest absolute
    difference between two runs.
    """

    labels: Sequence[int] | None
    outputs: Samples | None
    noise_floor: float = 0.0


UnmutatedBuilds = Mapping[tuple[str, str], Unmutated]  # by model and device


def find_agreements(builds: UnmutatedBuilds, devices: Sequence[str]) -> list[AgreementRow]:
    """A row for each model and each two devices: how far labels, bits and scores of the unmutated builds agree."""
    models = list(dict.fromkeys(model for model, _ in builds))
    return [
        _agreement(model, (first, second), builds[model, first], builds[model, second])
        for model in models
        for first, second in itertools.combinations([each for each in devices if (model, each) in builds], 2)
    ]


def _agreement(model: str, devices: tuple[str, str], first: Unmutated, second: Unmutated) -> AgreementRow:
    labels = [each.labels for each in (first, second) if each.labels is not None]
    differing = None
    if len(labels) == 2:
        differing = tuple(np.flatnonzero(np.asarray(labels[0]) != np.asarray(labels[1])).tolist())
    inputs = len(labels[0]) if labels else 0
    sizes: dict[str, Any] = dict.fromkeys(("bitwise_equal", "max_abs_diff", "max_rel_diff"))
    if first.outputs is not None and second.outputs is not None:
        inputs, found = len(first.outputs), compare(first.outputs, second.outputs)
        sizes = {name: getattr(found, name) for name in sizes}
    return AgreementRow(
        model=model,
        devices=devices,
        inputs=inputs,
        differing_labels=None if differing is None else len(differing),
        differing_inputs=differing,
        floor=floor_between(first, second),
        **sizes,
    )


def floor_between(first: Unmutated, second: Unmutated) -> float | None:
    """The largest absolute difference without a fault: between the unmutated builds, plus the noise of both.

    None if the outputs are unknown.
    """
    if first.outputs is None or second.outputs is None:
        return None
    difference = largest_differences(first.outputs, second.outputs)
    return float(difference.max(initial=0.0)) + first.noise_floor + second.noise_floor


def find_discrepancies(
    rows: Iterable[MutantRow],
    builds: UnmutatedBuilds,
    devices: Sequence[str],
    outputs_of: Callable[[MutantRow], Samples | None] = lambda _row: None,
) -> list[DiscrepancyRow]:
    """A row for each mutant and each two devices that have the mutant and the unmutated build.

    ``outputs_of`` gives the outputs of a mutant's row, or None if they are unknown.
    """
    by_mutant: dict[tuple[str, str], dict[str, MutantRow]] = {}
    for row in rows:
        by_mutant.setdefault((row.model, row.id), {})[row.device] = row
    floors: dict[tuple[str, str, str], float | None] = {}
    found: list[DiscrepancyRow] = []
    for (model, _), on in by_mutant.items():
        there = [device for device in devices if device in on and (model, device) in builds]
        for first, second in itertools.combinations(there, 2):
            pair = builds[model, first], builds[model, second]
            if (model, first, second) not in floors:
                floors[model, first, second] = floor_between(*pair)
            found.append(_discrepancy((on[first], on[second]), pair, floors[model, first, second], outputs_of))
    return found


def _discrepancy(
    rows: tuple[MutantRow, MutantRow],
    builds: tuple[Unmutated, Unmutated],
    floor: float | None,
    outputs_of: Callable[[MutantRow], Samples | None],
) -> DiscrepancyRow:
    first, second = rows
    figures: dict[str, Any] = dict.fromkeys(("share", "beyond_share", "max_abs_diff", "beyond_floor"))
    golden_labels = [build.labels for build in builds if build.labels is not None]
    if first.labels is not None and second.labels is not None and len(golden_labels) == 2:
        # The run over the inputs may have stopped earlier on one of the two devices.
        shared = min(len(first.labels), len(second.labels))
        labels = [np.asarray(each[:shared]) for each in (first.labels, second.labels)]
        golden = [np.asarray(each)[:shared] for each in golden_labels]
        figures["share"] = device_disagreement(first.labels[:shared], second.labels[:shared])
        figures["beyond_share"] = float(np.mean((labels[0] != labels[1]) & (golden[0] == golden[1])))
    outputs = [each for row in rows if (each := outputs_of(row)) is not None]
    if len(outputs) == 2 and floor is not None:
        shared = min(map(len, outputs))
        largest = largest_differences(*(each.first(shared) for each in outputs))
        finite = largest[np.isfinite(largest)]
        figures["max_abs_diff"] = float(finite.max()) if finite.size else None
        figures["beyond_floor"] = int(np.sum(largest > floor))
    return DiscrepancyRow(
        id=first.id,
        model=first.model,
        category=first.category,
        devices=(first.device, second.device),
        unmutated_share=device_disagreement(*golden_labels) if len(golden_labels) == 2 else None,
        outcomes=(first.outcome, second.outcome),
        floor=floor,
        behaviour=None,
        **figures,
    )


def undefined_requests(
    examined: str,
    rows: Iterable[MutantRow],
    discrepancies: Iterable[DiscrepancyRow],
    subjects: Sequence[Subject],
    devices: Sequence[Device],
) -> list[UndefinedRequest]:
    """One request for each mutant that differs between devices (``discrepant``), for ``all`` or for ``none``.

    A request is for the first device of the mutant whose code runs on this machine's processor, else for plain
    ``llvm``. A mutant that is equivalent on all its devices needs no request.
    """
    on: defaultdict[ModelAndMutant, list[MutantRow]] = defaultdict(list)
    for row in rows:
        on[row.model, row.id].append(row)
    discrepant = {(row.model, row.id) for row in discrepancies if row.is_discrepant}
    wanted = {"discrepant": discrepant, "all": {*on}, "none": set()}[examined]
    by_name = {subject.name: subject for subject in subjects}
    plain = Device("llvm", "llvm", flow=devices[0].flow)
    requests = []
    for (model, mutant), found in on.items():
        if (model, mutant) in wanted and any(row.rung and row.verdict is not Verdict.EQUIVALENT for row in found):
            here = {row.device for row in found}
            device = next((each for each in devices if each.name in here and _runs_here(each)), plain)
            requests.append(UndefinedRequest(by_name[model], device, mutant))
    return requests


def with_behaviours(
    discrepancies: Iterable[DiscrepancyRow], rows: Iterable[MutantRow], examined: Mapping[ModelAndMutant, UndefinedRow]
) -> list[DiscrepancyRow]:
    """The discrepancies with the behaviour of each discrepant mutant: defined, undefined or unknown.

    A red zone that was hit during the evaluation on any device makes the behaviour undefined, too.
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

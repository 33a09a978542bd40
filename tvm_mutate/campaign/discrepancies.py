"""What differs between devices: unmutated builds among themselves, and mutants beyond that."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_mutate.oracle import absolute_differences, compare, device_disagreement
from tvm_mutate.results import AgreementRow, DiscrepancyRow, MutantRow

Scores = Callable[[MutantRow], np.ndarray | None]


@dataclass(frozen=True)
class Unmutated:
    """What the unmutated build of one model gives on one device.

    ``scores`` has shape [inputs, classes]; None where only ``labels`` are known. ``noise_floor`` is the largest
    absolute difference between two runs.
    """

    labels: Sequence[int]
    scores: np.ndarray | None = None
    noise_floor: float = 0.0


UnmutatedBuilds = Mapping[tuple[str, str], Unmutated]  # by model and device


def no_scores(_row: MutantRow) -> np.ndarray | None:
    """The scores of a mutant's row where none are kept."""
    return None


def find_agreements(builds: UnmutatedBuilds, devices: Sequence[str]) -> list[AgreementRow]:
    """For each model and each two devices: how far the unmutated builds agree, in labels, in bits and in size."""
    models = list(dict.fromkeys(model for model, _ in builds))
    return [
        _agreement(model, (first, second), builds[model, first], builds[model, second])
        for model in models
        for first, second in itertools.combinations([each for each in devices if (model, each) in builds], 2)
    ]


def _agreement(model: str, devices: tuple[str, str], first: Unmutated, second: Unmutated) -> AgreementRow:
    differing = np.flatnonzero(np.asarray(first.labels) != np.asarray(second.labels))
    sizes: dict[str, Any] = dict.fromkeys(("bitwise_equal", "max_abs_diff", "max_rel_diff"))
    if first.scores is not None and second.scores is not None:
        found = compare(first.scores, second.scores, None, [])
        sizes = {name: getattr(found, name) for name in sizes}
    return AgreementRow(
        model=model,
        devices=devices,
        inputs=len(first.labels),
        differing_labels=differing.size,
        differing_inputs=tuple(differing.tolist()),
        floor=floor_between(first, second),
        **sizes,
    )


def floor_between(first: Unmutated, second: Unmutated) -> float | None:
    """The largest absolute difference that needs no fault: that of the unmutated builds, and the noise of both."""
    if first.scores is None or second.scores is None:
        return None
    difference = _largest_by_input(first.scores, second.scores)
    return float(difference.max(initial=0.0)) + first.noise_floor + second.noise_floor


def find_discrepancies(
    rows: Iterable[MutantRow], builds: UnmutatedBuilds, devices: Sequence[str], scores_of: Scores = no_scores
) -> list[DiscrepancyRow]:
    """For each mutant and each two devices that have it and the unmutated build: how far labels and scores differ.

    ``share`` is that of the inputs whose labels differ; ``unmutated_share`` the same of the unmutated builds, and
    ``beyond_share`` the part of ``share`` on which the unmutated builds agree. ``beyond_floor`` is the number of
    inputs with a score that differs by more than ``floor``. A mutant that did not complete on one of the two has the
    share None, and the outcomes are told. ``scores_of`` gives the scores of a row, or None where they are not known.
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
            found.append(_discrepancy((on[first], on[second]), pair, floors[model, first, second], scores_of))
    return found


def _discrepancy(
    rows: tuple[MutantRow, MutantRow], builds: tuple[Unmutated, Unmutated], floor: float | None, scores_of: Scores
) -> DiscrepancyRow:
    first, second = rows
    figures: dict[str, Any] = dict.fromkeys(("share", "beyond_share", "max_abs_diff", "beyond_floor"))
    if first.labels is not None and second.labels is not None:
        # A mutant may have been stopped earlier on one of the two.
        shared = min(len(first.labels), len(second.labels))
        labels = [np.asarray(each[:shared]) for each in (first.labels, second.labels)]
        golden = [np.asarray(build.labels)[:shared] for build in builds]
        figures["share"] = device_disagreement(first.labels[:shared], second.labels[:shared])
        figures["beyond_share"] = float(np.mean((labels[0] != labels[1]) & (golden[0] == golden[1])))
        scores = [scores_of(row) for row in rows] if floor is not None else [None]
        if all(each is not None for each in scores):
            largest = _largest_by_input(*(each[:shared] for each in scores if each is not None))
            finite = largest[np.isfinite(largest)]
            figures["max_abs_diff"] = float(finite.max()) if finite.size else None
            figures["beyond_floor"] = int(np.sum(largest > floor))
    return DiscrepancyRow(
        id=first.id,
        model=first.model,
        category=first.category,
        devices=(first.device, second.device),
        unmutated_share=device_disagreement(*(build.labels for build in builds)),
        outcomes=(first.outcome, second.outcome),
        floor=floor,
        behaviour=None,
        **figures,
    )


def _largest_by_input(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The largest absolute difference of each input's scores; infinite where one is NaN or infinite, the other not."""
    return absolute_differences(first, second).max(axis=1, initial=0.0)

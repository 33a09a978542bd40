"""What differs between devices: unmutated builds among themselves, and mutants beyond that."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_mutate.oracle import compare, device_disagreement
from tvm_mutate.statistics import absolute_differences

Row = dict[str, Any]
Scores = Callable[[Row], np.ndarray | None]
SOME_ENDING = ("crash", "timeout", "exception", "completed")


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


def no_scores(_row: Row) -> np.ndarray | None:
    """The scores of a mutant's row where none are kept."""
    return None


def find_agreements(builds: UnmutatedBuilds, devices: Sequence[str]) -> list[Row]:
    """For each model and each two devices: how far the unmutated builds agree, in labels, in bits and in size."""
    models = list(dict.fromkeys(model for model, _ in builds))
    return [
        _agreement(model, (first, second), builds[model, first], builds[model, second])
        for model in models
        for first, second in itertools.combinations([each for each in devices if (model, each) in builds], 2)
    ]


def _agreement(model: str, devices: tuple[str, str], first: Unmutated, second: Unmutated) -> Row:
    differing = np.flatnonzero(np.asarray(first.labels) != np.asarray(second.labels))
    row: Row = {"model": model, "devices": list(devices), "inputs": len(first.labels)}
    row |= {"differing_labels": differing.size, "differing_inputs": differing.tolist()}
    row |= dict.fromkeys(("bitwise_equal", "max_abs_diff", "max_rel_diff"))
    if first.scores is not None and second.scores is not None:
        found = compare(first.scores, second.scores, None, [])
        row |= {name: getattr(found, name) for name in ("bitwise_equal", "max_abs_diff", "max_rel_diff")}
    return {**row, "floor": floor_between(first, second)}


def floor_between(first: Unmutated, second: Unmutated) -> float | None:
    """The largest absolute difference that needs no fault: that of the unmutated builds, and the noise of both."""
    if first.scores is None or second.scores is None:
        return None
    difference = _largest_by_input(first.scores, second.scores)
    return float(difference.max(initial=0.0)) + first.noise_floor + second.noise_floor


def find_discrepancies(
    rows: Iterable[Row], builds: UnmutatedBuilds, devices: Sequence[str], scores_of: Scores = no_scores
) -> list[Row]:
    """For each mutant and each two devices that have it and the unmutated build: how far labels and scores differ.

    ``share`` is that of the inputs whose labels differ; ``unmutated_share`` the same of the unmutated builds, and
    ``beyond_share`` the part of ``share`` on which the unmutated builds agree. ``beyond_floor`` is the number of
    inputs with a score that differs by more than ``floor``. A mutant that did not complete on one of the two has the
    share None, and the outcomes are told. ``scores_of`` gives the scores of a row, or None where they are not known.
    """
    by_mutant: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        by_mutant.setdefault((row["model"], row["id"]), {})[row["device"]] = row
    floors: dict[tuple[str, str, str], float | None] = {}
    found = []
    for (model, _), on in by_mutant.items():
        there = [device for device in devices if device in on and (model, device) in builds]
        for first, second in itertools.combinations(there, 2):
            pair = builds[model, first], builds[model, second]
            if (model, first, second) not in floors:
                floors[model, first, second] = floor_between(*pair)
            found.append(_discrepancy((on[first], on[second]), pair, floors[model, first, second], scores_of))
    return found


def _discrepancy(
    rows: tuple[Row, Row], builds: tuple[Unmutated, Unmutated], floor: float | None, scores_of: Scores
) -> Row:
    first, second = rows
    golden = [np.asarray(build.labels) for build in builds]
    found: Row = {
        "id": first["id"],
        "model": first["model"],
        "category": first["category"],
        "devices": [first["device"], second["device"]],
        "share": None,
        "unmutated_share": device_disagreement(*(build.labels for build in builds)),
        "beyond_share": None,
        "outcomes": [first["outcome"], second["outcome"]],
        "max_abs_diff": None,
        "floor": floor,
        "beyond_floor": None,
        "behaviour": None,
    }
    if first["labels"] is None or second["labels"] is None:
        return found
    # A mutant may have been stopped earlier on one of the two.
    shared = min(len(first["labels"]), len(second["labels"]))
    differing = np.asarray(first["labels"][:shared]) != np.asarray(second["labels"][:shared])
    found["share"] = device_disagreement(*(row["labels"][:shared] for row in rows))
    found["beyond_share"] = float(np.mean(differing & (golden[0][:shared] == golden[1][:shared])))
    scores = [scores_of(row) for row in rows] if floor is not None else [None]
    if all(each is not None for each in scores):
        largest = _largest_by_input(*(each[:shared] for each in scores if each is not None))
        finite = largest[np.isfinite(largest)]
        found["max_abs_diff"] = float(finite.max()) if finite.size else None
        found["beyond_floor"] = int(np.sum(largest > floor))
    return found


def _largest_by_input(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The largest absolute difference of each input's scores; infinite where one is NaN or infinite, the other not."""
    return absolute_differences(first, second).max(axis=1, initial=0.0)


def is_discrepant(row: Row) -> bool:
    """Whether a discrepancy's row tells of any: labels or scores beyond the unmutated builds', or another ending."""
    ended = set(row["outcomes"])
    otherwise = len(ended) > 1 and ended <= set(SOME_ENDING)
    return bool(otherwise or row["beyond_share"] or row["beyond_floor"])

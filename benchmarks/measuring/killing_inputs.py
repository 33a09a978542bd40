"""Which inputs kill which mutants: sets of inputs that kill all mutants, and shares of inputs that kill a bug, too.

Kills are bool arrays: ``[inputs]`` for one fault, ``[mutants, inputs]`` for many.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tvm_mutate.oracle import wilson_interval


@dataclass(frozen=True)
class Share:
    """``count`` of ``total``, with the 95 % Wilson interval of the share in its text."""

    count: int
    total: int

    def __str__(self) -> str:
        if not self.total:
            return "0 of 0"
        low, high = wilson_interval(self.count, self.total)
        share, low, high = (f"{100 * each:.0f}" for each in (self.count / self.total, low, high))
        return f"{self.count} of {self.total} ({share} %, {low} to {high})"


def killing_set(mutants: np.ndarray, order: Sequence[int]) -> list[int]:
    """Inputs that together kill every mutant that any input kills, chosen greedily.

    Each is the input that kills most of the mutants that are left; of several the first in ``order`` is chosen.
    """
    left = mutants[mutants.any(axis=1)]
    chosen: list[int] = []
    while len(left):
        chosen.append(order[int(np.argmax(left[:, order].sum(axis=0)))])
        left = left[~left[:, chosen[-1]]]
    return chosen


def killing_sets(mutants: np.ndarray, count: int, seed: int = 0) -> list[list[int]]:
    """The killing sets for so many random orders of the inputs."""
    draw, inputs = random.Random(seed), range(mutants.shape[1])
    return [killing_set(mutants, draw.sample(inputs, len(inputs))) for _ in range(count)]


def share_among(bug: np.ndarray, mutants: np.ndarray) -> Share:
    """Of the inputs that kill any of the mutants, those that kill the bug."""
    killing = mutants.any(axis=0)
    return Share(int((bug & killing).sum()), int(killing.sum()))


def coupled(bug: np.ndarray, mutants: np.ndarray) -> int:
    """The number of mutants that are killed, and only by inputs that kill the bug."""
    return int((mutants.any(axis=1) & ~(mutants & ~bug).any(axis=1)).sum())


def chance(killing: int, inputs: int, drawn: int) -> float:
    """The chance that one of ``drawn`` random inputs is among the ``killing`` ones of all inputs."""
    return 1 - math.comb(inputs - killing, drawn) / math.comb(inputs, drawn)

"""The smallest size of a fault that is noticed, found by halving the range in which it has to be."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tvm_mutate.mutant import Magnitude

_DIGITS = 6  # of sizes that are no whole numbers: they are to be read


@dataclass(frozen=True)
class Bracket:
    """The two ends between which the critical size lies; both were tried.

    ``noticed`` is the smallest size that was noticed, None if none was; ``survived`` the largest below it that was not,
    None if the least of all was noticed. Not ``monotone``: the least size was noticed, and the most was not.
    """

    noticed: float | None
    survived: float | None
    monotone: bool = True


def find_bracket(
    sizes: Magnitude, whole: bool, most: float, resolution: float, is_noticed: Callable[[float], bool]
) -> Bracket:
    """The bracket of the critical size among ``sizes`` up to ``most``.

    It takes for granted that what is noticed of one size is noticed of every larger one: of the sizes between the ends
    only those are tried that halve the rest. ``whole`` sizes are whole numbers. Where sizes are logarithmic, the ends
    differ by the part ``resolution`` in the end, or less; elsewhere by one.
    """
    low, high = sizes.least, most
    at_most = is_noticed(high)
    if high > low and is_noticed(low):
        return Bracket(low, None, at_most)
    if not at_most:
        return Bracket(None, high)
    if high <= low:
        return Bracket(high, None)
    while (middle := _middle(low, high, sizes.logarithmic, whole, resolution)) is not None:
        low, high = (low, middle) if is_noticed(middle) else (middle, high)
    return Bracket(high, low)


def largest(least: float, most: float, holds: Callable[[float], bool]) -> float:
    """The largest whole size up to ``most`` that holds, if it is so up to it and no further; ``least`` does hold."""
    if holds(most):
        return most
    low, high = least, most
    while (middle := _middle(low, high, logarithmic=False, whole=True, resolution=0)) is not None:
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _middle(low: float, high: float, logarithmic: bool, whole: bool, resolution: float) -> float | None:
    """A size between two others, in the middle; None where they are near enough."""
    if logarithmic and high <= low * (1 + resolution):
        return None
    middle = math.sqrt(low * high) if logarithmic else (low + high) / 2
    if whole:
        return min(max(round(middle), low + 1), high - 1) if high - low > 1 else None
    middle = float(f"{middle:.{_DIGITS}g}")
    return middle if low < middle < high else None

"""Variants of operators that replace one thing of a family by another. No family of operators."""

from __future__ import annotations

from collections.abc import Collection, Iterable

Variant = dict[str, str]


def replacing(pairs: Iterable[tuple[str, str]]) -> tuple[Variant, ...]:
    """The variants that replace the first of each pair by the second."""
    return tuple({"from": before, "to": after} for before, after in pairs)


def replacing_others(names: Collection[str], chosen: Collection[tuple[str, str]]) -> tuple[Variant, ...]:
    """The variants for all pairs of different names that are not among the chosen ones."""
    return replacing((a, b) for a in names for b in names if a != b and (a, b) not in chosen)

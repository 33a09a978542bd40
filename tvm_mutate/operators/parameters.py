"""What the parameters of several families share: the sizes of faults, and variants that replace one name by another."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tvm_mutate.mutant import Magnitude

# Of shifts of indices, extents and starts.
STEPS = Magnitude(1, 1024)
# Of summands and factors.
AMOUNTS = Magnitude(1e-6, 1e6, logarithmic=True)
FACTORS = Magnitude(1e-6, 1e6, logarithmic=True, factor=True)

Variant = dict[str, str]


def replacing(pairs: Iterable[tuple[str, str]]) -> tuple[Variant, ...]:
    """The variants that replace the first of each pair by the second."""
    return tuple({"from": before, "to": after} for before, after in pairs)


def replacing_others(names: Collection[str], chosen: Collection[tuple[str, str]]) -> tuple[Variant, ...]:
    """The variants for all pairs of different names that are not among the chosen ones."""
    return replacing((a, b) for a in names for b in names if a != b and (a, b) not in chosen)

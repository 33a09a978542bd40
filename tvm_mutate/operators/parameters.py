"""Parameters that several families share: the sizes of faults, and the names that an operator replaces."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tvm_mutate.mutant import Magnitude, Parameter

# Of shifts of indices, extents and starts.
STEPS = Magnitude(1, 1024)
# Of summands and factors.
AMOUNTS = Magnitude(1e-6, 1e6, logarithmic=True)
FACTORS = Magnitude(1e-6, 1e6, logarithmic=True, factor=True)


def choice(name: str, description: str, variants: str, more: str = "", default: str | None = None) -> dict[str, Any]:
    """The only parameter of an operator, whose choices are the names in ``variants`` and ``more``, and the variants."""
    return {
        "parameters": (Parameter(name, description, default, choices=(*variants.split(), *more.split())),),
        "variants": tuple({name: each} for each in variants.split()),
        "more_variants": tuple({name: each} for each in more.split()),
    }


def replacement(noun: str, pairs: str, names: Iterable[str] = (), more: str = "") -> dict[str, Any]:
    """The parameters ``from`` and ``to`` of an operator that replaces one name by another, and their variants.

    ``pairs`` are the default variants, as in ``add>subtract multiply>add``. The other variants are the pairs of
    ``more``, or all other pairs of ``names``.
    """
    names, default = tuple(names), _pairs(pairs)
    others = _pairs(more) or [(a, b) for a in names for b in names if a != b and (a, b) not in default]
    before, after = (tuple(dict.fromkeys(side)) for side in zip(*default, *others, strict=True))
    return {
        "parameters": (
            Parameter("from", f"the {noun} that is replaced", choices=names or before),
            Parameter("to", f"the {noun} that takes its place", choices=names or after),
        ),
        "variants": tuple({"from": a, "to": b} for a, b in default),
        "more_variants": tuple({"from": a, "to": b} for a, b in others),
    }


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(before, after) for before, _, after in (pair.partition(">") for pair in text.split())]

"""Which of a mutant's kernels convert numbers to integers, as functions that mark what does not fit."""

from __future__ import annotations

from collections.abc import Mapping

from tvm.tirx import PrimFunc

from tvm_mutate.mutant import Slot
from tvm_mutate.passes import with_marked_conversions
from tvm_mutate.pipeline import Selections

_STRUCTURED = {Slot.GRAPH, Slot.KERNEL}


def is_structured(selections: Selections) -> bool:
    """Whether all mutations are in structured kernels, or before them: what is found in these is what runs."""
    return set(selections) <= _STRUCTURED


def marked_functions(changed: Mapping[str, PrimFunc], selections: Selections) -> dict[str, PrimFunc]:
    """Those of the changed kernels that convert numbers to integers, with marks as by ``with_marked_conversions``.

    None where a mutation comes after structured kernels: it is not in what would be marked.
    """
    if not is_structured(selections):
        return {}
    found = {name: with_marked_conversions(function) for name, function in changed.items()}
    return {name: function for name, function in found.items() if function is not None}

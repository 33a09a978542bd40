"""Mutations as TVM passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes.application import Applied, apply_mutations, selections_by_slot
from tvm_mutate.passes.selection import Selection

Recorder = Callable[[Sequence[Applied]], object]


def mutation_pass(selections: Sequence[Selection], recorder: Recorder | None = None) -> tvm.transform.Pass:
    """A module pass that applies the selections, usable in any ``tvm.transform.Sequential``.

    Its name, as pass instruments see it, is ``tvm_mutate.`` and the operators' names. ``recorder`` gets what
    was applied, each time the pass runs.
    """
    name = "tvm_mutate." + "+".join(selection.operator.name for selection in selections)

    @tvm.transform.module_pass(opt_level=0, name=name)
    def apply(module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        module, report = apply_mutations(module, selections)
        if recorder is not None:
            recorder(report)
        return module

    return apply


def mutant_passes(
    mutant: Mutant, catalogue: Catalogue, recorder: Recorder | None = None
) -> dict[Slot, tvm.transform.Pass]:
    """The passes of a mutant, one for each slot in which it acts.

    Raises UsageError for a mutant in the slot ``pipeline``: it changes lists of passes, and is no pass itself.
    """
    by_slot = selections_by_slot(mutant.mutations, catalogue)
    if Slot.PIPELINE in by_slot:
        raise UsageError(f"mutant {mutant} is no pass, but a fault in TVM's list of passes")
    return {slot: mutation_pass(selections, recorder) for slot, selections in by_slot.items()}

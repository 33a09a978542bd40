"""Mutations of IR as TVM passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tvm

from tvm_mutate.passes.application import Applied, apply_mutations
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

"""Mutations as TVM passes, in Python and in C++, and as rewriting of generated code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.native import native_library
from tvm_mutate.passes.application import apply_mutations, selections_by_slot
from tvm_mutate.passes.generated_code import apply_to_code
from tvm_mutate.passes.selection import Applied, Selection

_ALL = -1

# Called with what was applied, each time a pass runs.
OnApplied = Callable[[Sequence[Applied]], object]
# From generated code and the kind of its target to the mutated code.
CodePass = Callable[[str, str], str]


def mutation_pass(selections: Sequence[Selection], on_applied: OnApplied | None = None) -> tvm.transform.Pass:
    """A module pass that applies the selections, usable in any ``tvm.transform.Sequential``.

    Pass instruments see it as ``tvm_mutate.`` and the names of the operators.
    """
    name = "tvm_mutate." + "+".join(selection.operator.name for selection in selections)

    @tvm.transform.module_pass(opt_level=0, name=name)
    def apply(module: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        module, report = apply_mutations(module, selections)
        if on_applied is not None:
            on_applied(report)
        return module

    return apply


def code_pass(selections: Sequence[Selection], on_applied: OnApplied | None = None) -> CodePass:
    """A code pass that applies the selections."""

    def apply(text: str, kind: str) -> str:
        text, report = apply_to_code(text, kind, selections)
        if on_applied is not None:
            on_applied(report)
        return text

    return apply


def slot_passes(selections: Mapping[Slot, Sequence[Selection]], on_applied: OnApplied | None = None) -> dict[Slot, Any]:
    """The pass for each slot: a code pass for the slot ``text``, a ``tvm.transform.Pass`` for the others."""
    return {
        slot: (code_pass if slot is Slot.TEXT else mutation_pass)(chosen, on_applied)
        for slot, chosen in selections.items()
    }


def mutant_passes(mutant: Mutant, catalogue: Catalogue, on_applied: OnApplied | None = None) -> dict[Slot, Any]:
    """The passes of a mutant by slot, as :func:`slot_passes` gives them.

    Raises UsageError for a mutant in the slot ``pipeline``, which changes lists of passes and has no pass of its own.
    """
    by_slot = selections_by_slot(mutant.mutations, catalogue)
    if Slot.PIPELINE in by_slot:
        raise UsageError(f"mutant {mutant} is a fault in TVM's list of passes and has no pass of its own")
    return slot_passes(by_slot, on_applied)


def native_operators() -> tuple[str, ...]:
    """The operators that the native library has, sorted by name; empty without the library."""
    library = native_library()
    return tuple(map(str, library.function("operators")())) if library else ()


def native_mutation_pass(selections: Sequence[Selection], on_applied: OnApplied | None = None) -> tvm.transform.Pass:
    """The pass of ``mutation_pass`` in C++: the same sites, numbers and replacements.

    Pass instruments see it as ``tvm_mutate.native.`` and the names of the operators. Raises UsageError without the
    native library, or if the library lacks one of the operators.
    """
    make = native_library().function("mutation_pass")
    known = native_operators()
    for selection in selections:
        if selection.operator.name not in known:
            raise UsageError(f"the native library has no operator {selection.operator.name!r}")
    return make([_arguments(selection) for selection in selections], _reporting(selections, on_applied))


def _arguments(selection: Selection) -> tuple[str, dict[str, Any], str, int, int]:
    """The arguments of the C++ pass: operator, parameters, glob of functions, first and last site."""
    sites = selection.mutation.sites
    parameters = {each.name: selection.parameters[each.name] for each in selection.operator.parameters}
    last = _ALL if sites.last is None else sites.last
    return selection.operator.name, parameters, selection.mutation.function, sites.first, last


def _reporting(selections: Sequence[Selection], on_applied: OnApplied | None) -> Callable[[Any], None] | None:
    """``on_applied`` as a callback that takes the rows of C++."""
    if on_applied is None:
        return None

    def report(rows: Any) -> None:
        applied = [
            Applied(selections[index].mutation, str(name), int(found), tuple(map(int, sites)), bool(changed))
            for index, name, found, sites, changed in rows
        ]
        on_applied(applied)

    return report

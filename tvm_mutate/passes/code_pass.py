"""Mutations of generated code: what a pass is to IR."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Mutant, Slot, TextRule
from tvm_mutate.passes.application import Applied, selections_by_slot
from tvm_mutate.passes.generated_code import kernel_parts, kernel_spans, missing_declarations
from tvm_mutate.passes.mutation_pass import Recorder, mutation_pass
from tvm_mutate.passes.selection import Selection, Site, Tally
from tvm_mutate.passes.text_rewriter import rewrite_kernel_text

# From code, and the kind of target that it was generated for, to the code that takes its place.
CodePass = Callable[[str, str], str]


def code_pass(selections: Sequence[Selection], recorder: Recorder | None = None) -> CodePass:
    """A code pass that applies the selections; ``recorder`` gets what was applied, each time it runs."""

    def apply(text: str, kind: str) -> str:
        text, report = apply_to_code(text, kind, selections)
        if recorder is not None:
            recorder(report)
        return text

    return apply


def slot_passes(selections: Mapping[Slot, Sequence[Selection]], recorder: Recorder | None = None) -> dict[Slot, Any]:
    """What acts in each slot: a code pass in the slot ``text``, a ``tvm.transform.Pass`` in the others."""
    return {
        slot: (code_pass if slot is Slot.TEXT else mutation_pass)(chosen, recorder)
        for slot, chosen in selections.items()
    }


def mutant_passes(mutant: Mutant, catalogue: Catalogue, recorder: Recorder | None = None) -> dict[Slot, Any]:
    """What a mutant does in each slot in which it acts, as :func:`slot_passes` gives it.

    Raises UsageError for a mutant in the slot ``pipeline``: it changes lists of passes, and is no pass itself.
    """
    by_slot = selections_by_slot(mutant.mutations, catalogue)
    if Slot.PIPELINE in by_slot:
        raise UsageError(f"mutant {mutant} is no pass, but a fault in TVM's list of passes")
    return slot_passes(by_slot, recorder)


def apply_to_code(text: str, kind: str, selections: Sequence[Selection]) -> tuple[str, list[Applied]]:
    """The code with all the selections applied at once, and what each did to each kernel that it matches.

    A kernel is changed where its code is another text than before. Kernels are reported in the order of their names.
    """
    report: list[Applied] = []
    edits = []
    for name, spans in sorted(kernel_spans(text, kind).items()):
        tallies = _tallies(name, kind, selections)
        if not tallies:
            continue
        parts = [text[start:end] for start, end in spans]
        rewritten = rewrite_kernel_text(parts, tallies)
        edits += [(span, part) for span, before, part in zip(spans, parts, rewritten, strict=True) if part != before]
        for tally in tallies:
            changed = parts != rewritten and bool(tally.applied)
            report.append(Applied(tally.selection.mutation, name, tally.found, tuple(tally.applied), changed))
    declarations = missing_declarations(text, (part for _, part in edits)) if kind == "llvm" else ""
    for (start, end), part in sorted(edits, reverse=True):
        text = text[:start] + part + text[end:]
    return text + declarations, report


def find_code_sites(text: str, kind: str, selection: Selection) -> list[Site]:
    """The sites of the selection in the code, by kernel name and ordinal; nothing is changed."""
    return [site for tally in _visited(text, kind, selection, describe=True) for site in tally.descriptions or []]


def count_code_sites(text: str, kind: str, selection: Selection) -> dict[str, int]:
    """How many sites the selection's operator has in each kernel of the code, kernels without sites left out."""
    return {tally.function: tally.found for tally in _visited(text, kind, selection, describe=False) if tally.found}


def _visited(text: str, kind: str, selection: Selection, describe: bool) -> Iterator[Tally]:
    for name, parts in sorted(kernel_parts(text, kind).items()):
        for tally in _tallies(name, kind, [selection], describe):
            rewrite_kernel_text(parts, [tally])
            yield tally


def _tallies(name: str, kind: str, selections: Sequence[Selection], describe: bool = False) -> list[Tally]:
    return [
        Tally(selection, name, descriptions=[] if describe else None)
        for selection in selections
        if selection.mutation.matches(name)
        and isinstance(selection.operator.rule, TextRule)
        and kind in selection.operator.rule.kinds
    ]

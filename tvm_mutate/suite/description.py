"""Where a mutant is, for people: the line of its first site, and the difference it makes to its kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tvm.target import Target

from tvm_mutate.device import EndingKind, run_isolated
from tvm_mutate.mutant import Catalogue, Mutation, Slot
from tvm_mutate.passes import Selection, apply_mutations, find_sites, unified_difference
from tvm_mutate.pipeline import pass_names, tir_pass_lists, with_faults
from tvm_mutate.suite.recording import KernelText

_CONTEXT_LINES = 3
_SECONDS = 30.0


@dataclass(frozen=True)
class Place:
    """The name of a mutant's kernel, what stands at its first site, what takes its place, and the whole difference."""

    kernel: str = ""
    before: str = ""
    after: str = ""
    difference: str = ""


def text_of(mutation: Mutation, texts: Mapping[str, KernelText]) -> KernelText | None:
    """The kernel that a mutation is for; None for a fault in the compiler's list of passes, and for one not known."""
    if mutation.function == "*":
        return None
    return next((text for digest, text in texts.items() if digest.startswith(mutation.function)), None)


def describe(mutation: Mutation, texts: Mapping[str, KernelText], catalogue: Catalogue) -> Place:
    """Where a mutation is; looked up in a forked child, for the printer is TVM's and the kernel faulty."""
    text = text_of(mutation, texts)
    ending = run_isolated(lambda _stage: _place(mutation, text, catalogue), _SECONDS)
    name = text.name if text else "*"
    return (
        ending.value
        if ending.kind == EndingKind.FINISHED
        else Place(name, difference=f"(not to be shown: {ending.reason})")
    )


def _place(mutation: Mutation, text: KernelText | None, catalogue: Catalogue) -> Place:
    selection = Selection.resolve(replace(mutation, function="*"), catalogue)
    if text is None or selection.slot is Slot.PIPELINE:
        lists = tir_pass_lists(Target("llvm"))
        faulty = with_faults(lists, [selection])
        before, after = ("\n".join(pass_names(each)) for each in (lists, faulty))
        return Place("*", difference=unified_difference(before, after, "passes", _CONTEXT_LINES))
    module = text.module(selection.slot)
    sites = [site for site in find_sites(module, selection) if site.ordinal in mutation.sites]
    mutated, _ = apply_mutations(module, [selection])
    difference = unified_difference(module[text.name].script(), mutated[text.name].script(), text.name, _CONTEXT_LINES)
    before, after = (sites[0].before, sites[0].after) if sites else ("", "")
    if before == after:  # the first line of a block, and the fault is further down
        before, after = (_first(difference, sign) for sign in "-+")
    return Place(text.name, before, after, difference)


def _first(difference: str, sign: str) -> str:
    """The first line that a difference takes away, or adds."""
    lines = difference.splitlines()[2:]  # behind those that name the two sides
    return next((line[1:].strip() for line in lines if line.startswith(sign)), "")

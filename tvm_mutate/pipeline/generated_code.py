"""Generated code as mutations in the slot ``text`` get it."""

from __future__ import annotations

from dataclasses import dataclass

import tvm
from tvm.target import Target

from tvm_mutate.forked import call_in_child
from tvm_mutate.mutant import Slot
from tvm_mutate.passes import CODE_KINDS, Selection, count_code_sites, kernel_parts
from tvm_mutate.pipeline.generating import generate
from tvm_mutate.pipeline.slots import slotted_tir_pipeline


@dataclass(frozen=True)
class GeneratedCode:
    """The code of a whole model for a kind of target: as many texts as TVM's code generator gave one after another."""

    kind: str
    texts: tuple[str, ...]

    def kernels(self) -> dict[str, tuple[str, ...]]:
        """The code of each kernel, by name."""
        return {name: parts for text in self.texts for name, parts in kernel_parts(text, self.kind).items()}

    def site_counts(self, selection: Selection) -> dict[str, int]:
        """How many sites the selection's operator has in each kernel, kernels without sites left out."""
        counts: dict[str, int] = {}
        for text in self.texts:
            counts.update(count_code_sites(text, self.kind, selection))
        return counts


def generated_code(kernels: tvm.IRModule, target: Target) -> GeneratedCode:
    """The kernels' code as mutations in the slot ``text`` get it; no texts for kinds of targets that have no such."""
    kind = target.kind.name
    if kind not in CODE_KINDS:
        return GeneratedCode(kind, ())
    # The end of a CUDA module initialises the driver, even if nothing was ever loaded.
    taken = call_in_child(lambda: _texts(kernels, target)) if kind == "cuda" else _texts(kernels, target)
    return GeneratedCode(kind, taken)


def _texts(kernels: tvm.IRModule, target: Target) -> tuple[str, ...]:
    texts: list[str] = []

    def read(text: str, of_kind: str) -> str:
        if of_kind == target.kind.name:
            texts.append(text)
        return text

    with slotted_tir_pipeline({Slot.TEXT: read}) as tir_pipeline:
        generate(kernels, target, tir_pipeline)
    return tuple(texts)

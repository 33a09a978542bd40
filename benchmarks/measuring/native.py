"""The passes in C++ beside those in Python, on the kernels of a model: what each finds, makes and takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import tvm
import tvm_ffi

from tvm_mutate.mutant import Catalogue, Sites, Slot
from tvm_mutate.passes import Applied, Selection, mutation_pass, native_mutation_pass, native_operators

MakePass = Callable[..., tvm.transform.Pass]


@dataclass
class Compared:
    """How often the two were compared on a model, and where they differ; seconds are those of the passes alone.

    ``sites`` counts those that Python found, ``rewritten`` the comparisons in which a function came out changed, and
    ``different`` names the mutants whose sites, reports or IR are not the same.
    """

    kernels: int = 0
    passes: int = 0
    rewritten: int = 0
    sites: int = 0
    python: float = 0.0
    native: float = 0.0
    different: list[str] = field(default_factory=list)

    def add(self, other: Compared) -> None:
        """Adds the counts of another model or slot."""
        self.kernels += other.kernels
        self.passes += other.passes
        self.rewritten += other.rewritten
        self.sites += other.sites
        self.python += other.python
        self.native += other.native
        self.different += other.different


def native_selections(catalogue: Catalogue, slot: Slot) -> Iterator[Selection]:
    """Every variant of every operator that Python has too, in the slot."""
    for operator in (catalogue[name] for name in native_operators() if name in catalogue):
        if slot in operator.slots:
            for variant in operator.all_variants():
                yield Selection.resolve(operator.mutation(variant, slot), catalogue)


def compare(kernels: tvm.IRModule, selections: Sequence[Selection], most: int | None = None) -> Compared:
    """Compares all sites at once and each alone, kernel by kernel; at most ``most`` single sites of a variant."""
    compared = Compared()
    for variable in kernels.functions:
        kernel = tvm.IRModule({variable: kernels[variable]}, attrs=kernels.attrs)
        compared.kernels += 1
        for selection in selections:
            found = _compare(kernel, variable.name_hint, selection, Sites(), compared)
            compared.sites += found
            for ordinal in range(found if most is None else min(found, most)):
                _compare(kernel, variable.name_hint, selection, Sites(ordinal, ordinal), compared)
    return compared


def _compare(kernel: tvm.IRModule, name: str, selection: Selection, sites: Sites, compared: Compared) -> int:
    """Compares one mutant of a kernel; how many sites Python found in it."""
    mutation = selection.mutation.at(name, sites)
    placed = Selection(mutation, selection.operator, selection.parameters)
    expected, report, seconds = _run(mutation_pass, kernel, placed)
    compared.python += seconds
    got, native_report, seconds = _run(native_mutation_pass, kernel, placed)
    compared.native += seconds
    compared.passes += 1
    compared.rewritten += any(applied.changed for applied in report)
    if report != native_report or not tvm_ffi.structural_equal(expected, got):
        compared.different.append(str(mutation))
    return sum(applied.found for applied in report)


def _run(make: MakePass, module: tvm.IRModule, selection: Selection) -> tuple[tvm.IRModule, list[Applied], float]:
    """What a pass makes of a module, what it says of it, and the seconds that it takes."""
    report: list[Applied] = []
    mutate = make([selection], report.extend)
    began = time.perf_counter()
    mutated = mutate(module)
    return mutated, report, time.perf_counter() - began

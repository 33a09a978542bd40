"""A module as each slot sees it, without building: for listing sites and showing differences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import tvm
from tvm import relax
from tvm.target import Target

from tvm_mutate.mutant import Slot
from tvm_mutate.passes import Applied, Selection, count_all_sites, mutation_pass
from tvm_mutate.pipeline.doors import kernels_of, lower_to_door
from tvm_mutate.pipeline.fused import Fused
from tvm_mutate.pipeline.generated_code import GeneratedCode, generated_code
from tvm_mutate.pipeline.pass_lists import (
    FUSING,
    MEMORY,
    SCHEDULING,
    PassLists,
    pass_sites,
    relax_pass_lists,
    tir_pass_lists,
    with_faults,
)
from tvm_mutate.pipeline.relax_pipeline import memory_pipeline, scheduling_pipeline
from tvm_mutate.pipeline.slots import LATE, Selections

# TVM gives this suffix, and a number where there are several, to the functions that it splits off a kernel for a GPU.
_DEVICE_SUFFIX = "_kernel"


def comes_from_kernel(function: str, kernel: str) -> bool:
    """Whether a function of a lowered module is the kernel of this name, or was split off it for a device."""
    return function == kernel or function.startswith(kernel + _DEVICE_SUFFIX)


class Stages:
    """A model at each slot, for one target; each stage is computed once, when first asked for."""

    def __init__(self, model: tvm.IRModule | Fused, target: Target) -> None:
        self.target = target
        self._model = model if isinstance(model, Fused) else Fused(model)
        self._stages: dict[Slot, tvm.IRModule] = {}
        self._code: GeneratedCode | None = None

    def at(self, slot: Slot) -> tvm.IRModule:
        """The unmutated model as the passes of the slot get it; of the slot ``text`` see :meth:`code`.

        The passes of the slot ``pipeline`` are TVM's own: those on Relax get the model's Relax functions, and those on
        TIR its kernels.
        """
        if slot is Slot.TEXT:
            raise ValueError("what is in the slot text is code, and no module")
        if slot is Slot.GRAPH:
            return self._model.module
        if slot not in self._stages:
            self._stages[slot] = self._stage(slot)
        return self._stages[slot]

    def _stage(self, slot: Slot) -> tvm.IRModule:
        if slot is Slot.KERNEL:
            return self._scheduled(self._model.fused(), None)
        if slot is Slot.PIPELINE:
            relax_functions = {
                variable.name_hint: function
                for variable, function in self._model.module.functions.items()
                if isinstance(function, relax.Function)
            }
            kernels = kernels_of(self.at(Slot.KERNEL)).functions
            return tvm.IRModule({**{each.name_hint: kernels[each] for each in kernels}, **relax_functions})
        return lower_to_door(self._runnable_kernels(), self.target, slot)

    def code(self) -> GeneratedCode:
        """The unmutated model as mutations in the slot ``text`` get it."""
        if self._code is None:
            self._code = generated_code(self._runnable_kernels(), self.target)
        return self._code

    def site_counts(self, selection: Selection) -> dict[str, int]:
        """How many sites the selection's operator has in each function, in its slot; functions without are left out."""
        (counts,) = self.all_site_counts([selection])
        return counts

    def all_site_counts(self, selections: Sequence[Selection]) -> list[dict[str, int]]:
        """As :meth:`site_counts`, for each of the selections; a function of a slot is walked through once for all."""
        counts: dict[int, dict[str, int]] = {}
        for slot in Slot:
            numbers = [number for number, each in enumerate(selections) if each.slot is slot]
            if numbers:
                found = self._counted(slot, [selections[number] for number in numbers])
                counts.update(zip(numbers, found, strict=True))
        return [counts[number] for number in range(len(selections))]

    def _counted(self, slot: Slot, selections: Sequence[Selection]) -> list[dict[str, int]]:
        if slot is Slot.PIPELINE:
            return [self.pass_sites(selection) for selection in selections]
        if slot is Slot.TEXT:
            return [self.code().site_counts(selection) for selection in selections]
        return count_all_sites(self.at(slot), selections)

    def function_names(self, slot: Slot) -> list[str]:
        """The names of all functions that mutations in the slot can be for, sorted."""
        if slot is Slot.TEXT:
            return sorted(self.code().kernels())
        return sorted(variable.name_hint for variable in self.at(slot).functions)

    @cached_property
    def relax_passes(self) -> PassLists:
        """The passes of the Relax pipeline."""
        return relax_pass_lists(self.target)

    @cached_property
    def tir_passes(self) -> PassLists:
        """The passes of the TIR pipeline."""
        return tir_pass_lists(self.target)

    def pass_sites(self, selection: Selection) -> dict[str, int]:
        """How many sites a selection of the slot ``pipeline`` has in the pass lists of each function, if any."""
        on_relax, on_tir = (len(pass_sites(lists, selection)) for lists in (self.relax_passes, self.tir_passes))
        counts = {
            variable.name_hint: on_relax if isinstance(function, relax.Function) else on_tir
            for variable, function in self.at(Slot.PIPELINE).functions.items()
        }
        return {name: count for name, count in sorted(counts.items()) if count and selection.mutation.matches(name)}

    def pipeline_faults(self, selections: Selections) -> list[Applied]:
        """What the mutations of the slot ``pipeline`` do to the pass lists of each function that they match."""
        report = []
        for selection in selections.get(Slot.PIPELINE, ()):
            for name, found in self.pass_sites(selection).items():
                sites = tuple(each for each in range(found) if each in selection.mutation.sites)
                report.append(Applied(selection.mutation, name, found, sites, bool(sites)))
        return report

    def mutated(self, selections: Selections, report: list[Applied]) -> tvm.IRModule:
        """The model after the slot ``kernel``, with the mutations applied that act before or in it.

        What they leave as it is comes from the unmutated stages, which the same passes would give again.
        """
        passes = self._faulty_passes(selections)
        fusing, scheduling = passes.get(FUSING), passes.get(SCHEDULING)
        if Slot.GRAPH in selections or fusing or scheduling:
            module = self._scheduled(self._fused(selections, fusing, report), scheduling)
        else:
            module = self.at(Slot.KERNEL)
        if Slot.KERNEL in selections:
            module = mutation_pass(selections[Slot.KERNEL], report.extend)(module)
        return module

    def fused(self, selections: Selections) -> tvm.IRModule:
        """The model as the scheduling pipeline gets it, with the mutations applied that act before."""
        return self._fused(selections, self._faulty_passes(selections).get(FUSING), [])

    def runnable(self, module: tvm.IRModule, selections: Selections | None = None) -> tvm.IRModule:
        """A module after the slot ``kernel`` as the VM runs it: memory planned, kernels called on tensors."""
        passes = self._faulty_passes(selections or {}).get(MEMORY)
        with self.target:
            return (memory_pipeline(self.target) if passes is None else tvm.transform.Sequential(passes))(module)

    def _runnable_kernels(self) -> tvm.IRModule:
        return kernels_of(self.runnable(self.at(Slot.KERNEL)))

    def has_faulty_memory_passes(self, selections: Selections) -> bool:
        """Whether a mutation is in the passes that plan memory, after which alone there is anything to see of it."""
        return MEMORY in self._faulty_passes(selections)

    def has_faulty_relax_passes(self, selections: Selections) -> bool:
        """Whether a mutation is in a pass of the Relax pipeline."""
        return bool(self._faulty_passes(selections))

    def is_lowered_otherwise(self, kernel: str, selections: Selections) -> bool:
        """Whether a mutation acts on a kernel in its TIR pipeline or after it, so that it becomes other code."""
        late = [each for slot in LATE for each in selections.get(slot, ())]
        late += [each for each in selections.get(Slot.PIPELINE, ()) if pass_sites(self.tir_passes, each)]
        names = (kernel, kernel + _DEVICE_SUFFIX)
        return any(
            any(map(each.mutation.matches, names)) or comes_from_kernel(each.mutation.function, kernel) for each in late
        )

    def _faulty_passes(self, selections: Selections) -> dict[str, list[tvm.transform.Pass]]:
        """The lists of the Relax pipeline that have faults in them, by name."""
        names = [
            each.name_hint
            for each, function in self._model.module.functions.items()
            if isinstance(function, relax.Function)
        ]
        faults = [each for each in selections.get(Slot.PIPELINE, ()) if any(map(each.mutation.matches, names))]
        if not faults:
            return {}
        faulty = with_faults(self.relax_passes, faults)
        return {name: list(passes) for name, passes in faulty.items() if passes is not self.relax_passes[name]}

    def _fused(
        self, selections: Selections, passes: Sequence[tvm.transform.Pass] | None, report: list[Applied]
    ) -> tvm.IRModule:
        if Slot.GRAPH not in selections:
            return self._model.fused() if passes is None else self._model.fuse_by(passes, self._model.module)
        mutated = mutation_pass(selections[Slot.GRAPH], report.extend)(self.at(Slot.GRAPH))
        return self._model.fuse(mutated) if passes is None else self._model.fuse_by(passes, mutated)

    def _scheduled(self, fused: tvm.IRModule, passes: Sequence[tvm.transform.Pass] | None) -> tvm.IRModule:
        with self.target:
            return (scheduling_pipeline(self.target) if passes is None else tvm.transform.Sequential(passes))(fused)

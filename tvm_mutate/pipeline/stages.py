"""A module as each slot sees it, without building: for listing sites and showing differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import tvm
from tvm import relax, tirx
from tvm.target import Target
from tvm.tirx.build import split_host_device_mods

from tvm_mutate.mutant import Slot
from tvm_mutate.passes import (
    CODE_KINDS,
    Applied,
    Selection,
    Site,
    count_all_sites,
    count_code_sites,
    find_code_sites,
    find_sites,
    kernel_parts,
    mutation_pass,
)
from tvm_mutate.pipeline.folding import FoldingCache
from tvm_mutate.pipeline.generating import generate
from tvm_mutate.pipeline.legalising import LegalisingCache
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
from tvm_mutate.pipeline.slots import LATE, Selections, slotted_tir_pipeline


def kernels_of(lowered: tvm.IRModule) -> tvm.IRModule:
    """The PrimFuncs of a module after the Relax pipeline, in a module of their own."""
    functions = {
        variable: function for variable, function in lowered.functions.items() if isinstance(function, tirx.PrimFunc)
    }
    return tvm.IRModule(functions, attrs=lowered.attrs)


def lower_to_door(kernels: tvm.IRModule, target: Target, slot: Slot, pipeline: str = "default") -> tvm.IRModule:
    """PrimFuncs after the TIR pipeline (slot ``lowered``) and its finalizers (slot ``codegen``), host and device."""
    body, finalize_host, finalize_device = tirx.get_tir_pipeline(pipeline)
    host = target.host or (target if target.kind.name in ("llvm", "c") else Target("llvm"))
    module = body(tirx.transform.BindTarget(target.with_host(host))(kernels))
    if slot is Slot.LOWERED:
        return module
    host_module, device_modules = split_host_device_mods(module)
    functions = dict(finalize_host()(host_module).functions)
    for device_module in device_modules.values():
        functions.update(finalize_device()(device_module).functions)
    return tvm.IRModule(functions)


@dataclass(frozen=True)
class GeneratedCode:
    """The code of a whole model for a kind of target: as many texts as TVM's code generator gave one after another."""

    kind: str
    texts: tuple[str, ...]

    def kernels(self) -> dict[str, tuple[str, ...]]:
        """The code of each kernel, by name."""
        return {name: parts for text in self.texts for name, parts in kernel_parts(text, self.kind).items()}


def generated_code(kernels: tvm.IRModule, target: Target) -> GeneratedCode:
    """The kernels' code as mutations in the slot ``text`` get it; no texts for kinds of targets that have no such."""
    kind, texts = target.kind.name, []

    def read(text: str, of_kind: str) -> str:
        if of_kind == kind:
            texts.append(text)
        return text

    if kind in CODE_KINDS:
        with slotted_tir_pipeline({Slot.TEXT: read}) as tir_pipeline:
            generate(kernels, target, tir_pipeline)
    return GeneratedCode(kind, tuple(texts))


class Fused:
    """A model after legalisation and fusion, which targets share; computed when first asked for.

    ``folding`` and ``legalising`` keep the kernels of constant folding and of legalisation for the next model, and for
    the model's graph mutants.
    """

    def __init__(
        self, module: tvm.IRModule, folding: FoldingCache | None = None, legalising: LegalisingCache | None = None
    ) -> None:
        self.module = module
        self._folding = folding or FoldingCache()
        self._legalising = legalising or LegalisingCache()
        self._fused: tvm.IRModule | None = None

    def fused(self) -> tvm.IRModule:
        """The unmutated model, legalised and fused."""
        if self._fused is None:
            self._fused = self.fuse(self.module)
        return self._fused

    def fuse(self, module: tvm.IRModule) -> tvm.IRModule:
        """Another module, such as the model with graph mutations, legalised and fused as by ``fusing_pipeline``."""
        with self._folding.active():
            decomposed = relax.transform.DecomposeOpsForInference()(module)
            return relax.get_pipeline("zero")(self._legalising.legalisation(decomposed)(decomposed))

    def fuse_by(self, passes: Sequence[tvm.transform.Pass], module: tvm.IRModule) -> tvm.IRModule:
        """Another module after passes that take the place of ``fusing_pipeline``.

        Of the two caches only that of folded constants is of use: it has what TVM's unmutated TIR pipeline makes of a
        kernel, whoever asks for it.
        """
        with self._folding.active():
            return tvm.transform.Sequential(list(passes))(module)


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
            return [self._counted_in_code(selection) for selection in selections]
        return count_all_sites(self.at(slot), selections)

    def _counted_in_code(self, selection: Selection) -> dict[str, int]:
        code, counts = self.code(), {}
        for text in code.texts:
            counts.update(count_code_sites(text, code.kind, selection))
        return counts

    def sites(self, selection: Selection) -> list[Site]:
        """The sites of the selection in its slot, by function name and ordinal."""
        if selection.slot is not Slot.TEXT:
            return find_sites(self.at(selection.slot), selection)
        code = self.code()
        return [site for text in code.texts for site in find_code_sites(text, code.kind, selection)]

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
        return any(each.mutation.matches(kernel) for each in late)

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

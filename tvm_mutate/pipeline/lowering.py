"""A model lowered to each slot for one target, unmutated or with mutations; evaluation and listing both use this."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import tvm
from tvm import relax
from tvm.target import Target

from tvm_mutate.errors import MutateError, UsageError, line_of
from tvm_mutate.forked import call_in_child
from tvm_mutate.mutant import ON_GRAPHS, Slot
from tvm_mutate.passes import (
    CODE_KINDS,
    Applied,
    OnApplied,
    Selection,
    count_all_sites,
    count_code_sites,
    kernel_parts,
    mutation_pass,
    slot_passes,
)
from tvm_mutate.pipeline.codegen import bound_to, generate, kernels_of, lower_kernels
from tvm_mutate.pipeline.flow import TVM_FLOW, Flow
from tvm_mutate.pipeline.lowering_cache import Fused
from tvm_mutate.pipeline.pass_lists import (
    FUSING,
    MEMORY,
    PLANNING,
    SCHEDULING,
    PassLists,
    pass_sites,
    with_faults,
    with_memory_slot,
)
from tvm_mutate.pipeline.tir_pipeline import LATE, Selections, faulty_tir_pipeline, slotted_tir_pipeline


@dataclass(frozen=True)
class GeneratedCode:
    """The code of a whole model for a kind of target: the texts of TVM's code generator, in order."""

    kind: str
    texts: tuple[str, ...]

    def kernels(self) -> dict[str, tuple[str, ...]]:
        """The code of each kernel, by name."""
        return {name: parts for text in self.texts for name, parts in kernel_parts(text, self.kind).items()}

    def site_counts(self, selection: Selection) -> dict[str, int]:
        """The number of sites of the selection's operator by kernel, for kernels with sites."""
        counts: dict[str, int] = {}
        for text in self.texts:
            counts.update(count_code_sites(text, self.kind, selection))
        return counts


def generated_code(kernels: tvm.IRModule, target: Target, flow: Flow = TVM_FLOW) -> GeneratedCode:
    """The kernels' code as mutations in the slot ``text`` get it; no texts for kinds outside ``CODE_KINDS``."""
    kind = target.kind.name
    if kind not in CODE_KINDS:
        return GeneratedCode(kind, ())

    def texts() -> tuple[str, ...]:
        found: list[str] = []

        def read(text: str, of_kind: str) -> str:
            if of_kind == kind:
                found.append(text)
            return text

        with slotted_tir_pipeline({Slot.TEXT: read}, flow.tir) as name:
            generate(kernels, target, replace(flow, mutated=name))
        return tuple(found)

    # The destructor of a CUDA module initialises the driver, even if nothing was ever loaded.
    return GeneratedCode(kind, call_in_child(texts) if kind == "cuda" else texts())


# TVM appends this suffix, and a number if there are several, to the functions that it splits off a kernel for a GPU.
_DEVICE_SUFFIX = "_kernel"


def comes_from_kernel(function: str, kernel: str) -> bool:
    """Whether a function of a lowered module is the kernel of this name, or was split off that kernel for a device."""
    return function == kernel or function.startswith(kernel + _DEVICE_SUFFIX)


class SiteCounts(dict[str, int]):
    """The number of sites of an operator by function, for functions with sites.

    ``failure`` says why there is none if the operator raised an error, by itself or in TVM; else it is empty.
    """

    failure = ""

    @classmethod
    def failed(cls, selection: Selection, error: Exception) -> SiteCounts:
        """No sites, because of an error of the operator."""
        counts = cls()
        counts.failure = f"{selection.operator.name} raises {line_of(error)}"
        return counts


def is_on_graph(selections: Selections) -> bool:
    """Whether a mutation acts before the Relax pipeline."""
    return not selections.keys().isdisjoint(ON_GRAPHS)


class Stages:
    """A model lowered to each slot for one target; each unmutated stage is computed once, at its first use.

    The builds go through the ``flow`` of the model, or for a module through ``flow``.
    """

    def __init__(self, model: tvm.IRModule | Fused, target: Target, flow: Flow = TVM_FLOW) -> None:
        self.target = target
        self._model = model if isinstance(model, Fused) else Fused(model, flow=flow)
        self.flow = self._model.flow
        self._stages: dict[Slot, tvm.IRModule] = {}
        self._code: GeneratedCode | None = None

    def at(self, slot: Slot) -> tvm.IRModule:
        """The unmutated model as the passes of the slot get it; for the slot ``text`` see :meth:`code`.

        The passes of the slot ``pipeline`` are TVM's own: Relax passes get the model's Relax functions, TIR passes its
        kernels. Raises UsageError if TVM cannot lower the model.
        """
        if slot is Slot.TEXT:
            raise ValueError("the slot text has code and no module")
        if slot in ON_GRAPHS:
            return self._model.module
        if slot not in self._stages:
            try:
                self._stages[slot] = self._stage(slot)
            except MutateError:
                raise
            except Exception as error:
                where = f"the slot {slot} for {self.target.kind.name}"
                raise UsageError(f"the model cannot be lowered to {where}: {line_of(error)}") from error
        return self._stages[slot]

    def _stage(self, slot: Slot) -> tvm.IRModule:
        if slot is Slot.KERNEL:
            _ = self.flow.tir  # refuses a function that gives no pipeline
            return self._run(SCHEDULING, self._fused({}, None, []))
        if slot is Slot.CALL:
            return self.at(Slot.KERNEL)
        if slot is Slot.MEMORY:
            passes = self.relax_passes[MEMORY]
            planning = [at for at, each in enumerate(passes) if each.info.name == PLANNING]
            return self._run(MEMORY, self.at(Slot.KERNEL), passes[: planning[0] + 1] if planning else [])
        if slot is Slot.PIPELINE:
            kernels = kernels_of(self.at(Slot.KERNEL)).functions
            by_name = {variable.name_hint: function for variable, function in kernels.items()}
            return tvm.IRModule({**by_name, **self._relax_functions()})
        return lower_kernels(self._runnable_kernels(), self.target, slot, self.flow)

    def code(self) -> GeneratedCode:
        """The unmutated code as mutations in the slot ``text`` get it."""
        if self._code is None:
            self._code = generated_code(self._runnable_kernels(), self.target, self.flow)
        return self._code

    def site_counts(self, selection: Selection) -> SiteCounts:
        """The number of sites of the selection's operator by function in its slot, for functions with sites."""
        (counts,) = self.all_site_counts([selection])
        return counts

    def all_site_counts(self, selections: Sequence[Selection]) -> list[SiteCounts]:
        """Like :meth:`site_counts` for many selections; each function of a slot is walked once for all of them.

        An operator that raises an error loses its own sites only.
        """
        counts: dict[int, SiteCounts] = {}
        for slot in Slot:
            numbers = [number for number, each in enumerate(selections) if each.slot is slot]
            if numbers:
                found = self._counted(slot, [selections[number] for number in numbers])
                counts.update(zip(numbers, found, strict=True))
        return [counts[number] for number in range(len(selections))]

    def _counted(self, slot: Slot, selections: Sequence[Selection]) -> list[SiteCounts]:
        stage = self.code() if slot is Slot.TEXT else self.at(slot)
        try:
            if isinstance(stage, GeneratedCode):
                found = [stage.site_counts(selection) for selection in selections]
            elif slot is Slot.PIPELINE:
                found = [self.pass_sites(selection) for selection in selections]
            else:
                found = count_all_sites(stage, selections)
        except Exception as error:  # of one operator: it is found by halves
            if len(selections) == 1:
                return [SiteCounts.failed(selections[0], error)]
            half = len(selections) // 2
            return self._counted(slot, selections[:half]) + self._counted(slot, selections[half:])
        return [SiteCounts(counts) for counts in found]

    def function_names(self, slot: Slot) -> list[str]:
        """The sorted names of all functions in the slot."""
        if slot is Slot.TEXT:
            return sorted(self.code().kernels())
        return sorted(variable.name_hint for variable in self.at(slot).functions)

    @cached_property
    def relax_passes(self) -> PassLists:
        """The passes of the Relax pipeline."""
        return self.flow.relax_passes(self.target, self._model.module)

    @cached_property
    def tir_passes(self) -> PassLists:
        """The passes of the TIR pipeline."""
        return self.flow.tir_passes(self.target, lambda: bound_to(self.target, self._runnable_kernels()))

    def pass_sites(self, selection: Selection) -> dict[str, int]:
        """The number of sites of a selection of the slot ``pipeline`` by function, for functions with sites."""
        on_relax, on_tir = (len(pass_sites(lists, selection)) for lists in (self.relax_passes, self.tir_passes))
        counts = {
            variable.name_hint: on_relax if isinstance(function, relax.Function) else on_tir
            for variable, function in self.at(Slot.PIPELINE).functions.items()
        }
        return {name: count for name, count in sorted(counts.items()) if count and selection.mutation.matches(name)}

    def pipeline_faults(self, selections: Selections) -> list[Applied]:
        """The effect of the mutations of the slot ``pipeline`` on the pass lists of each function that they match."""
        report = []
        for selection in selections.get(Slot.PIPELINE, ()):
            for name, found in self.pass_sites(selection).items():
                sites = tuple(each for each in range(found) if each in selection.mutation.sites)
                report.append(Applied(selection.mutation, name, found, sites, bool(sites)))
        return report

    def mutated(self, selections: Selections, report: list[Applied]) -> tvm.IRModule:
        """The model after the slot ``call``, with the mutations of this and earlier slots.

        Stages before the first mutation are the unmutated ones.
        """
        passes = self._faulty_passes(selections)
        fusing, scheduling = passes.get(FUSING), passes.get(SCHEDULING)
        if is_on_graph(selections) or fusing or scheduling:
            module = self._run(SCHEDULING, self._fused(selections, fusing, report), scheduling)
        else:
            module = self.at(Slot.KERNEL)
        for slot in (Slot.KERNEL, Slot.CALL):
            if slot in selections:
                module = mutation_pass(selections[slot], report.extend)(module)
        return module

    def fused(self, selections: Selections) -> tvm.IRModule:
        """The model before the scheduling passes, with the mutations of earlier slots."""
        return self._fused(selections, self._faulty_passes(selections).get(FUSING), [])

    def runnable(
        self, module: tvm.IRModule, selections: Selections | None = None, report: list[Applied] | None = None
    ) -> tvm.IRModule:
        """The module after the slot ``call`` as the VM runs it: memory planned, kernels called on tensors.

        ``report`` gets what mutations of the slot ``memory`` did.
        """
        selections = selections or {}
        passes: Sequence[tvm.transform.Pass] | None = self._faulty_passes(selections).get(MEMORY)
        if Slot.MEMORY in selections:
            own = mutation_pass(selections[Slot.MEMORY], None if report is None else report.extend)
            passes = with_memory_slot(self.relax_passes[MEMORY] if passes is None else passes, own)
        return self._run(MEMORY, module, passes)

    def _runnable_kernels(self) -> tvm.IRModule:
        return kernels_of(self.runnable(self.at(Slot.KERNEL)))

    @cached_property
    def shape_functions(self) -> frozenset[str]:
        """The names of the functions that the VM calls to compute symbolic shapes; they are no kernels of the model."""
        kernels = {variable.name_hint for variable in self.at(Slot.KERNEL).functions}
        return frozenset(each.name_hint for each in self._runnable_kernels().functions) - kernels

    @contextlib.contextmanager
    def mutated_flow(self, selections: Selections, on_applied: OnApplied | None = None) -> Iterator[Flow]:
        """The flow with the selections of the slots of its TIR pipeline, while the context lasts.

        The slots are ``lowered``, ``codegen``, ``text`` and ``pipeline``; ``on_applied`` is not called for
        ``pipeline``.
        """
        passes = slot_passes({slot: selections[slot] for slot in LATE if slot in selections}, on_applied)
        faults = selections.get(Slot.PIPELINE, ())
        with contextlib.ExitStack() as stack:
            name = self.flow.tir
            if faults:
                name = stack.enter_context(faulty_tir_pipeline(faults, self.tir_passes, name))
            yield replace(self.flow, mutated=stack.enter_context(slotted_tir_pipeline(passes, name)))

    def plans_memory_otherwise(self, selections: Selections) -> bool:
        """Whether a mutation is in the plan of memory or in its passes, and so shows only in :meth:`runnable`."""
        return Slot.MEMORY in selections or MEMORY in self._faulty_passes(selections)

    def has_faulty_relax_passes(self, selections: Selections) -> bool:
        """Whether a mutation is in a pass of the Relax pipeline."""
        return bool(self._faulty_passes(selections))

    def is_lowered_otherwise(self, kernel: str, selections: Selections) -> bool:
        """Whether a mutation acts on the kernel in its TIR pipeline or later."""
        late = [each for slot in LATE for each in selections.get(slot, ())]
        late += [each for each in selections.get(Slot.PIPELINE, ()) if pass_sites(self.tir_passes, each)]
        names = (kernel, kernel + _DEVICE_SUFFIX)
        return any(
            any(map(each.mutation.matches, names)) or comes_from_kernel(each.mutation.function, kernel) for each in late
        )

    def _faulty_passes(self, selections: Selections) -> dict[str, list[tvm.transform.Pass]]:
        """The lists of the Relax pipeline that have faults, by name."""
        names = self._relax_functions()
        faults = [each for each in selections.get(Slot.PIPELINE, ()) if any(map(each.mutation.matches, names))]
        if not faults:
            return {}
        faulty = with_faults(self.relax_passes, faults)
        return {name: list(passes) for name, passes in faulty.items() if passes is not self.relax_passes[name]}

    def _fused(
        self, selections: Selections, passes: Sequence[tvm.transform.Pass] | None, report: list[Applied]
    ) -> tvm.IRModule:
        module = self._model.module
        for slot in ON_GRAPHS:
            if slot in selections:
                module = mutation_pass(selections[slot], report.extend)(module)
        if self.flow.relax_pipeline:
            with self.target:
                return self._model.fuse_by(self.relax_passes[FUSING] if passes is None else passes, module)
        if passes is not None:
            return self._model.fuse_by(passes, module)
        return self._model.fuse(module) if is_on_graph(selections) else self._model.fused()

    def _run(self, name: str, module: tvm.IRModule, faulty: Sequence[tvm.transform.Pass] | None = None) -> tvm.IRModule:
        """The module after the passes of the list of this name, or after the faulty ones if there are any."""
        with self.target, self.flow.options():
            return tvm.transform.Sequential(list(self.relax_passes.get(name, ()) if faulty is None else faulty))(module)

    def _relax_functions(self) -> dict[str, relax.Function]:
        functions = self._model.module.functions.items()
        return {variable.name_hint: each for variable, each in functions if isinstance(each, relax.Function)}

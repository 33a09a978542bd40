"""A module as each slot sees it, without building: for listing sites and showing differences."""

from __future__ import annotations

from collections.abc import Sequence

import tvm
from tvm import tirx
from tvm.target import Target
from tvm.tirx.build import split_host_device_mods

from tvm_mutate.mutant import Slot
from tvm_mutate.passes import Applied, Selection, mutation_pass
from tvm_mutate.pipeline.relax_pipeline import default_relax_pipeline


def lower_to_kernels(module: tvm.IRModule, target: Target, pipeline: tvm.transform.Pass | None = None) -> tvm.IRModule:
    """The module after the Relax pipeline: VM functions in Relax and structured PrimFuncs."""
    with target:
        return (pipeline or default_relax_pipeline(target))(module)


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


class Stages:
    """A module at each slot, for one target; each stage is computed once, when first asked for."""

    def __init__(self, module: tvm.IRModule, target: Target, relax_pipeline: tvm.transform.Pass | None = None) -> None:
        self.target = target
        self._relax_pipeline = relax_pipeline
        self._stages: dict[Slot, tvm.IRModule] = {Slot.GRAPH: module}

    def at(self, slot: Slot) -> tvm.IRModule:
        """The unmutated module as the passes of the slot get it."""
        if slot not in self._stages:
            if slot is Slot.KERNEL:
                lowered = lower_to_kernels(self._stages[Slot.GRAPH], self.target, self._relax_pipeline)
                self._stages[slot] = lowered
            else:
                self._stages[slot] = lower_to_door(kernels_of(self.at(Slot.KERNEL)), self.target, slot)
        return self._stages[slot]

    def lowered_with(self, selections: dict[Slot, list[Selection]], report: list[Applied]) -> tvm.IRModule:
        """The module after the Relax pipeline with the mutations of the slots ``graph`` and ``kernel`` applied.

        Without graph mutations it starts from the unmutated stage, which the same passes would give again.
        """

        def applied(module: tvm.IRModule, chosen: Sequence[Selection]) -> tvm.IRModule:
            return mutation_pass(chosen, report.extend)(module) if chosen else module

        if Slot.GRAPH in selections:
            module = applied(self.at(Slot.GRAPH), selections[Slot.GRAPH])
            module = lower_to_kernels(module, self.target, self._relax_pipeline)
        else:
            module = self.at(Slot.KERNEL)
        return applied(module, selections.get(Slot.KERNEL, []))

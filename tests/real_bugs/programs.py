"""The right program of a real bug, built with a mutant or without one; ``benchmarks/coupling.py`` uses it, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import tvm
from tvm import relax, tirx

from tests.passes.tir_interpreter import run_threads
from tests.real_bugs.real_bug import RealBug
from tvm_mutate.kernels import CompiledModel
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Applied, Selection, apply_mutations, count_all_sites, selections_by_slot
from tvm_mutate.pipeline import TVM_FLOW, Flow, Stages, generate, kernels_of
from tvm_mutate.samples import Sample

CATALOGUE = builtin_catalogue()
UNWRITTEN = 99  # what output buffers contain before a kernel runs
_TARGET = tvm.target.Target("llvm")
_FLOWS = {Slot.CALL: "from_calls", Slot.MEMORY: "from_plan"}

_ON_SCRIPTS = (Slot.KERNEL, Slot.LOWERED)

# From the arrays of one input to the outputs.
Run = Callable[[Sequence[np.ndarray]], Sample]


class Program(Protocol):
    """A right program that can be built with mutants."""

    def site_counts(self, selections: Sequence[Selection]) -> Sequence[dict[str, int]]:
        """For each selection the number of sites of its operator by function, for functions with sites."""
        ...

    def build(self, mutant: str = "") -> Run:
        """The program with the mutant of this id, compiled once for any number of inputs."""
        ...


def program_of(bug: RealBug) -> Program:
    """The right program of a bug."""
    return GpuKernel(bug) if "thread" in bug.right else CompiledProgram(bug)


def module_of(script: str) -> tvm.IRModule:
    """The module of a right or wrong program."""
    parsed = tvm.script.from_source(script)
    return parsed if isinstance(parsed, tvm.IRModule) else tvm.IRModule({"main": parsed})


def selections_of(mutant: str) -> list[Selection]:
    """The mutations of a mutant; none for no mutant."""
    return [Selection.resolve(each, CATALOGUE) for each in CATALOGUE.parse(mutant).mutations] if mutant else []


class CompiledProgram:
    """A graph or a kernel that is compiled for this machine; mutants act in their slots of TVM's pipeline."""

    def __init__(self, bug: RealBug) -> None:
        module = module_of(bug.right)
        written_for = _FLOWS.get(selections_of(bug.mutant)[0].slot)
        reference = f"{Path(__file__).with_name('flows.py')}:{written_for}"
        self._stages = Stages(module, _TARGET, Flow.read(reference) if written_for else TVM_FLOW)
        self._main = module["main"]

    def site_counts(self, selections: Sequence[Selection]) -> Sequence[dict[str, int]]:
        return self._stages.all_site_counts(selections)

    def build(self, mutant: str = "") -> Run:
        stages, applied = self._stages, list[Applied]()
        selections = selections_by_slot([each.mutation for each in selections_of(mutant)], CATALOGUE)
        lowered = stages.runnable(stages.mutated(selections, applied), selections, applied)
        with stages.mutated_flow(selections) as flow:
            if isinstance(self._main, tirx.PrimFunc):
                return self._kernel(generate(kernels_of(lowered), _TARGET, flow)["main"])
            return _graph(CompiledModel(lowered, _TARGET, Path(), flow).load(tvm.cpu())["main"])

    def _kernel(self, function: tvm.runtime.Module) -> Run:
        def run(inputs: Sequence[np.ndarray]) -> Sample:
            buffers = [*inputs, *unwritten_outputs(self._main, len(inputs))]
            arguments = [tvm.runtime.tensor(each) for each in buffers]
            function(*arguments)
            return tuple(each.numpy() for each in arguments[len(inputs) :])

        return run


class GpuKernel:
    """A kernel for a GPU: mutants of the slots ``kernel`` and ``lowered`` change its script, and Python runs it.

    A mutant that Python cannot run is refused when it is built.
    """

    def __init__(self, bug: RealBug) -> None:
        self._bug, self._module = bug, module_of(bug.right)

    def site_counts(self, selections: Sequence[Selection]) -> Sequence[dict[str, int]]:
        # The script is the same in both slots: each operator acts in the first that it has.
        here = [each for each in selections if each.slot in _ON_SCRIPTS and each.slot is each.operator.slots[0]]
        counts = {id(each): found for each, found in zip(here, count_all_sites(self._module, here), strict=True)}
        return [counts.get(id(each), {}) for each in selections]

    def build(self, mutant: str = "") -> Run:
        main = apply_mutations(self._module, selections_of(mutant))[0]["main"]

        def run(inputs: Sequence[np.ndarray]) -> Sample:
            names = [buffer.name for buffer in main.params]
            buffers = [*inputs, *unwritten_outputs(main, len(inputs))]
            arrays = run_threads(main, dict(zip(names, buffers, strict=True)))
            return tuple(arrays[name] for name in names[len(inputs) :])

        run(self._bug.inputs)
        return run


def unwritten_outputs(kernel: tirx.PrimFunc, inputs: int) -> list[np.ndarray]:
    """The output buffers of a kernel before a run."""
    types = [buffer.ty for buffer in kernel.params[inputs:]]
    return [np.full([int(extent) for extent in each.shape], UNWRITTEN, str(each.dtype)) for each in types]


def _graph(function: relax.VirtualMachine) -> Run:
    def run(inputs: Sequence[np.ndarray]) -> Sample:
        results = function(*map(tvm.runtime.tensor, inputs))
        return tuple(each.numpy() for each in ([results] if isinstance(results, tvm.runtime.Tensor) else results))

    return run

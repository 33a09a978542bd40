"""The divergence of two targets: the first pass of their pipelines after which their IR differs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import tvm
import tvm_ffi
from tvm import tirx
from tvm.tirx.build import split_host_device_mods

from tvm_mutate.mutant import Slot
from tvm_mutate.passes import mutation_pass
from tvm_mutate.pipeline.codegen import bound_to, kernels_of
from tvm_mutate.pipeline.lowering import Stages
from tvm_mutate.pipeline.pass_lists import BODY, DEVICE, HOST, MEMORY, SCHEDULING, PassLists, pass_sites, with_faults
from tvm_mutate.pipeline.tir_pipeline import Selections

_TARGET = "target"
_GLOBALS = re.compile(r"\bcls\.|\bModule\.")
Passes = Sequence[tvm.transform.Pass]


@dataclass(frozen=True)
class PassDivergence:
    """The passes after which the IR of two targets differs: ``first`` of one target and ``second`` of the other.

    Both are the same single pass, or the parts in which the lists of the targets differ. ``stage`` is the list with
    these passes, and ``functions`` are the names of the differing functions.
    """

    stage: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    functions: tuple[str, ...]


def find_pass_divergence(
    first: Stages, second: Stages, selections: Selections, kernel: str | None = None
) -> PassDivergence | None:
    """The first pass after which a mutant's IR differs between two targets; None if the IR is always the same.

    Both stages are of the same fused model. Attributes that name the target are not compared. With ``kernel`` only this
    kernel runs through the TIR pipeline.
    """
    sides = _Side(first, selections), _Side(second, selections)
    for stage in (SCHEDULING, MEMORY):
        found = _run_list(stage, sides, [side.relax_lists[stage] for side in sides])
        if found is not None:
            return found
        if stage == SCHEDULING:
            for side in sides:
                side.mutate(Slot.KERNEL)
    for side in sides:
        side.take_kernels(kernel)
    for stage in (BODY, HOST, DEVICE):
        if stage == HOST:
            for side in sides:
                side.mutate(Slot.LOWERED)
                side.split()
        lists = [side.tir_lists.get(stage, ()) for side in sides]
        for side in sides:
            side.choose(stage)
        found = _run_list(stage, sides, lists)
        if found is not None:
            return found
    return None


class _Side:
    """The module of one target between passes."""

    def __init__(self, stages: Stages, selections: Selections) -> None:
        self.target, self._flow, self._selections = stages.target, stages.flow, selections
        self.module = stages.fused(selections)
        faults = selections.get(Slot.PIPELINE, ())
        self.relax_lists: PassLists = with_faults(stages.relax_passes, faults)
        self._tir_passes, self._faults = stages.tir_passes, faults
        self.tir_lists: PassLists = stages.tir_passes
        self._parts: Mapping[str, tvm.IRModule] = {}

    def mutate(self, slot: Slot) -> None:
        """Applies the mutations of a slot."""
        if slot in self._selections:
            self.module = mutation_pass(self._selections[slot])(self.module)

    def run(self, passes: Passes) -> None:
        """Runs passes, one by one."""
        with self.target, self._flow.context():
            for each in passes:
                self.module = each(self.module)

    def take_kernels(self, kernel: str | None) -> None:
        """Keeps only the kernels, or the one of this name, and binds them to the target."""
        kernels = kernels_of(self.module)
        chosen = {var: each for var, each in kernels.functions.items() if kernel in (None, var.name_hint)}
        module = tvm.IRModule(chosen or dict(kernels.functions), attrs=kernels.attrs)
        names = [variable.name_hint for variable in module.functions]
        faults = [each for each in self._faults if any(map(each.mutation.matches, names))]
        faults = [each for each in faults if pass_sites(self._tir_passes, each)]
        self.tir_lists = with_faults(self._tir_passes, faults) if faults else self._tir_passes
        self.module = bound_to(self.target, module)

    def split(self) -> None:
        """Splits the functions into those of the host and those of the device."""
        host, devices = split_host_device_mods(self.module)
        functions = {variable: each for module in devices.values() for variable, each in module.functions.items()}
        self._parts = {HOST: host, DEVICE: tvm.IRModule(functions)}

    def choose(self, stage: str) -> None:
        """Keeps the functions that the passes of a stage get."""
        self.module = self._parts.get(stage, self.module)


def _run_list(stage: str, sides: tuple[_Side, _Side], lists: Sequence[Passes]) -> PassDivergence | None:
    for ours, theirs in _aligned(*lists):
        sides[0].run(ours)
        sides[1].run(theirs)
        differing = differing_functions(sides[0].module, sides[1].module)
        if differing:
            return PassDivergence(stage, _names(ours), _names(theirs), differing)
    return None


def _aligned(first: Passes, second: Passes) -> Iterator[tuple[Passes, Passes]]:
    """The common passes of two lists one by one, and between them the differing parts."""
    matcher = difflib.SequenceMatcher(None, _names(first), _names(second), autojunk=False)
    for kind, start, end, from_, to in matcher.get_opcodes():
        if kind == "equal":
            yield from (([one], [other]) for one, other in zip(first[start:end], second[from_:to], strict=True))
        else:
            yield first[start:end], second[from_:to]


def _names(passes: Passes) -> tuple[str, ...]:
    return tuple(str(each.info.name) for each in passes)


def differing_functions(first: tvm.IRModule, second: tvm.IRModule) -> tuple[str, ...]:
    """The names of functions that are not structurally equal in two modules; attributes of the target are ignored.

    Functions with global variables are compared by their text, because a variable belongs to one module.
    """
    ours, theirs = ({each.name_hint: function for each, function in m.functions.items()} for m in (first, second))
    return tuple(
        name
        for name in sorted({*ours, *theirs})
        if name not in ours or name not in theirs or not _equal(ours[name], theirs[name])
    )


def _equal(first: tvm.ir.BaseFunc, second: tvm.ir.BaseFunc) -> bool:
    ours, theirs = (
        each.without_attr(_TARGET) if each.attrs and _TARGET in each.attrs else each for each in (first, second)
    )
    if tvm_ffi.structural_equal(ours, theirs):
        return True
    if isinstance(ours, tirx.PrimFunc) and isinstance(theirs, tirx.PrimFunc) and not _GLOBALS.search(ours.script()):
        return False
    return bool(ours.script(show_meta=False) == theirs.script(show_meta=False))

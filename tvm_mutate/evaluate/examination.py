"""Examines whether a mutant's behaviour is defined: indices, red zones, conversions and AddressSanitizer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from tvm.tirx import PrimFunc

from tvm_mutate.device import Ending, EndingKind, Stage, mutant_headroom, run_isolated
from tvm_mutate.evaluate.builder import is_structured, marked_functions
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING
from tvm_mutate.evaluate.host import HostMemory, start_values
from tvm_mutate.evaluate.memory import CONVERSION, KINDS, READ, WRITE
from tvm_mutate.evaluate.program import NotStraightLineError, Program, View, take_program
from tvm_mutate.kernels import Kernel, KnownKernels, SanitizedKernels, SanitizerMissingError, build_batch
from tvm_mutate.model import Workload
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.oracle import Behaviour
from tvm_mutate.passes import Accesses, find_outside, selections_by_slot
from tvm_mutate.pipeline import Selections, Stages
from tvm_mutate.samples import Sample

UNDEF = "use of a value that is undefined (undef in LLVM IR)"
INDICES, RED_ZONES, SANITIZER, CODE, CRASH = "indices", "red zones", "AddressSanitizer", "code", "crash"
CONVERSIONS = "conversions"
_MOST_CONFIRMED = 4
_UNWRITTEN = "read of memory that was never written, as where the compiler drops a value that is undefined"
_OF_VALUES = {UNDEF: CODE, CONVERSION: CONVERSIONS}
_KINDS = {told: kind for kind, told in KINDS.items()}


@dataclass(frozen=True)
class UndefinedAccess:
    """An undefined access of a kernel: ``kind`` is ``read``, ``write``, or empty if unknown.

    ``expression`` is the access in TVMScript (``evidence`` is ``indices``) or in C (``AddressSanitizer``). It is empty
    if only the effect is known (``red zones``, ``crash``), or if a value is undefined in the generated ``code`` or
    after one of the kernel's ``conversions``. ``detail`` is a text for people.
    """

    kernel: str
    kind: str
    expression: str
    evidence: str
    detail: str


@dataclass(frozen=True)
class Examination:
    """What is known of the accesses of one mutant: its behaviour is defined, undefined or unknown.

    ``indices``, ``red_zones`` and ``sanitizer`` are the results of the three examinations in words; conversions are
    examined together with red zones.
    """

    behaviour: Behaviour
    accesses: tuple[UndefinedAccess, ...] = ()
    indices: str = ""
    red_zones: str = ""
    sanitizer: str = ""


@dataclass(frozen=True)
class Seen:
    """What running a mutant between red zones has shown so far; ``running`` is the kernel that runs now."""

    changed: tuple[str, ...] = ()
    indices: Mapping[str, Accesses] = field(default_factory=dict)
    zones: Mapping[str, set[str]] = field(default_factory=dict)
    running: str = ""
    obstacle: str = ""


@dataclass(frozen=True)
class ExaminedProgram:
    """A mutated program, the functions of its changed kernels, and its other kernels in compiled form."""

    program: Program
    changed: Mapping[str, PrimFunc]
    known: Mapping[str, Kernel]


class Examiner:
    """Examines the mutants of one model, lowered for a CPU target of this machine, in child processes.

    Each changed kernel is examined at its first call in the mutated program, for the first sample.
    """

    def __init__(self, stages: Stages, workload: Workload, catalogue: Catalogue) -> None:
        self._stages, self._workload, self._catalogue = stages, workload, catalogue

    def examine(self, mutant: Mutant, seconds: float) -> Examination:
        """What is known of the mutant's accesses, within a time limit for each examination."""
        selections = selections_by_slot(mutant.mutations, self._catalogue)
        try:
            _ = self._unmutated
        except NotStraightLineError as error:
            return _not_looked(f"the model is no straight line of kernels: {error}")
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            place = Path(folder)
            ending = run_isolated(lambda stage: self._between(selections, stage, place), seconds, mutant_headroom())
            seen: Seen = ending.value or ending.note or Seen(obstacle=ending.reason)
            if seen.obstacle:
                return _not_looked(seen.obstacle)
            suspects = _suspects(seen)
            sanitized: Ending | None = None
            if suspects:
                # AddressSanitizer's programs reserve more address space than there is memory.
                sanitized = run_isolated(lambda stage: self._sanitized(selections, suspects, place), seconds)
        return _concluded(seen, ending, sanitized)

    @cached_property
    def _unmutated(self) -> KnownKernels:
        """The unmutated kernels, compiled once and inherited by children."""
        program = take_program(self._stages.at(Slot.KERNEL), self._workload)
        functions = program.called()
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            kernels = build_batch(functions, self._stages.target, Path(folder), self._stages.flow)
            for kernel in kernels.values():
                _ = kernel.run
        return KnownKernels(functions, kernels)

    def _mutated(self, selections: Selections) -> ExaminedProgram:
        """The mutated program with its changed and its known kernels."""
        program = take_program(self._stages.mutated(selections, []), self._workload)
        functions = program.called()
        known = {
            name: kernel
            for name, function in functions.items()
            if (kernel := self._unmutated.find(name, function)) is not None
            and not self._stages.is_lowered_otherwise(name, selections)
        }
        changed = {name: function for name, function in functions.items() if name not in known}
        return ExaminedProgram(program, changed, known)

    def _between(self, selections: Selections, stage: Stage, folder: Path) -> Seen:
        """Runs the mutated program on the first input, its changed kernels between red zones."""
        stage(COMPILING)
        if self._stages.plans_memory_otherwise(selections):
            return Seen(obstacle="the fault is in the planning of memory, which kernels one by one do without")
        try:
            mutated = self._mutated(selections)
        except NotStraightLineError as error:
            return Seen(obstacle=f"the mutant is no straight line of kernels: {error}")
        seen = Seen(tuple(mutated.changed))
        if is_structured(selections):
            indices = {name: find_outside(each) for name, each in mutated.changed.items()}
            seen = replace(seen, indices=indices)
        stage(COMPILING, seen)
        kernels = dict(mutated.known)
        if mutated.changed:
            with self._stages.mutated_flow(selections) as flow:
                kernels |= build_batch(mutated.changed, self._stages.target, folder / "build", flow)
        converting = marked_functions(mutated.changed, selections)
        target, flow = self._stages.target, self._stages.flow
        marked = build_batch(converting, target, folder / "marked", flow) if converting else {}
        return _run_between_zones(
            mutated, kernels, marked, self._workload.samples[0], folder, lambda now: stage(RUNNING, now), seen
        )

    def _sanitized(
        self, selections: Selections, suspects: Sequence[str], folder: Path
    ) -> tuple[list[UndefinedAccess], str]:
        """The findings of AddressSanitizer in these kernels, and the result in words."""
        mutated = self._mutated(selections)
        functions = {name: mutated.changed[name] for name in suspects if (folder / f"{name}.npz").exists()}
        found: list[UndefinedAccess] = []
        try:
            if Slot.TEXT in selections and self._stages.target.kind.name != "c":
                raise SanitizerMissingError("the fault is in the code of another code generator than that of C")
            if not functions:
                raise SanitizerMissingError("no kernel came to be run")
            with self._stages.mutated_flow(selections) as flow:
                sanitized = SanitizedKernels(functions, folder / "sanitized", flow)
            calls = {step.kernel: step for step in mutated.program.first_calls()}
            for name in functions:
                types = [mutated.program.types[each] for each in calls[name].results]
                with np.load(folder / f"{name}.npz") as arguments:
                    given = [arguments[f"arr_{each}"] for each in range(len(arguments.files))]
                for each in sanitized.run(name, given, [(kind.shape, kind.dtype) for kind in types]):
                    detail = f"{each.what}, line {each.line} of the C code"
                    found.append(UndefinedAccess(name, each.access, each.code, SANITIZER, detail))
        except SanitizerMissingError as error:
            return found, f"not looked at: {error}"
        guilty = len({each.kernel for each in found})
        return found, f"outside in {guilty} of {len(functions)} kernels" if guilty else "nothing outside"


def _run_between_zones(
    mutated: ExaminedProgram,
    kernels: Mapping[str, Kernel],
    marked: Mapping[str, Kernel],
    sample: Sample,
    folder: Path,
    tell: Callable[[Seen], None],
    seen: Seen,
) -> Seen:
    """Runs a program on a sample, with its changed kernels between red zones.

    ``marked`` are the changed kernels that mark conversions that do not fit. ``tell`` gets the observations so far
    before each changed kernel runs; the arguments of the kernels' first calls go to ``folder``.
    """
    program, memory = mutated.program, HostMemory()
    values = start_values(program, sample)
    for step in program.steps:
        if isinstance(step, View):
            values[step.result] = memory.view(values[step.argument], program.types[step.result])
            continue
        arguments, kernel = [values[each] for each in step.arguments], kernels[step.kernel]
        results = [memory.empty(program.types[each]) for each in step.results]
        if step.kernel not in mutated.changed:
            memory.launch(kernel.run, arguments, results, step.scalars)
        else:
            if not (folder / f"{step.kernel}.npz").exists():
                np.savez(folder / f"{step.kernel}.npz", *(each.array for each in arguments))
            tell(replace(seen, running=step.kernel))
            mark = marked[step.kernel].run if step.kernel in marked else None
            arena = memory.arena(step, program, harmless=False)
            found, undefined = arena.run(kernel.run, arguments, thoroughly=True, marked=mark)
            for result, value in zip(results, found, strict=True):
                result.array[...] = value.array
            undefined |= {UNDEF} if kernel.undefined_values else set()
            seen = replace(seen, zones={**seen.zones, step.kernel: seen.zones.get(step.kernel, set()) | undefined})
        values.update(zip(step.results, results, strict=True))
    return seen


def _suspects(seen: Seen) -> list[str]:
    """The kernels for AddressSanitizer: all undecided kernels, and a few that are known to be undefined."""
    waiting = [name for name in seen.changed if not _is_settled(seen, name)]
    certain = [name for name in waiting if name in seen.indices and seen.indices[name].outside]
    return [name for name in waiting if name not in certain[_MOST_CONFIRMED:]]


def _is_settled(seen: Seen, name: str) -> bool:
    """Whether a kernel certainly stays in its buffers and needs no further examination."""
    return _inside(seen, name) and name in seen.zones and WRITE not in seen.zones[name]


def _inside(seen: Seen, name: str) -> bool:
    """Whether every index of a kernel is inside its buffer."""
    known = seen.indices.get(name)
    return known is not None and known.others_inside and not known.outside


def _not_looked(reason: str) -> Examination:
    return Examination(Behaviour.UNKNOWN, (), *[f"not looked at: {reason}"] * 3)


def _concluded(seen: Seen, ending: Ending, sanitized: Ending | None) -> Examination:
    found = [
        UndefinedAccess(kernel, each.kind, each.expression, INDICES, each.reached)
        for kernel, accesses in seen.indices.items()
        for each in accesses.outside
    ]
    found += [_seen_access(seen, kernel, each) for kernel, kinds in seen.zones.items() for each in sorted(kinds)]
    if ending.kind == EndingKind.DIED and seen.running:
        found.append(UndefinedAccess(seen.running, "", "", CRASH, ending.reason))
    told = "not needed: every index is inside its buffer" if seen.changed else "not needed: no kernel is another one"
    if sanitized is not None:
        accesses, told = sanitized.value or ([], f"not looked at: it {sanitized.kind} ({sanitized.reason})")
        found += accesses
    whole = ending.kind == EndingKind.FINISHED
    behaviour = Behaviour.UNDEFINED if found else Behaviour.DEFINED if whole else Behaviour.UNKNOWN
    return Examination(behaviour, tuple(found), _told_of_indices(seen), _told_of_zones(seen, ending), told)


def _seen_access(seen: Seen, kernel: str, what: str) -> UndefinedAccess:
    """An undefined access that running a kernel has shown."""
    if what in _OF_VALUES:
        return UndefinedAccess(kernel, "", "", _OF_VALUES[what], what)
    return UndefinedAccess(
        kernel, _KINDS[what], "", RED_ZONES, _UNWRITTEN if what == READ and _inside(seen, kernel) else what
    )


def _told_of_indices(seen: Seen) -> str:
    if not seen.changed:
        return "not needed: no kernel is another one"
    if not seen.indices:
        return "not looked at: the fault is in the compiler's passes or behind them"
    undecided = sum(not each.others_inside for each in seen.indices.values())
    return _counted(seen.indices, (each.outside for each in seen.indices.values()), undecided)


def _told_of_zones(seen: Seen, ending: Ending) -> str:
    if ending.kind != EndingKind.FINISHED:
        return f"it {ending.kind} in {seen.running or 'the compiler'} ({ending.reason})"
    outside = (kinds - {UNDEF} for kinds in seen.zones.values())
    return _counted(seen.zones, outside, 0, "undefined") if seen.zones else "not needed: no kernel is another one"


def _counted(looked_at: Collection[str], found: Iterable[object], undecided: int, what: str = "outside") -> str:
    guilty = sum(bool(each) for each in found)
    said = f"{what} in {guilty} of {len(looked_at)} kernels" if guilty else f"nothing {what}"
    return f"{said}, {undecided} undecided" if undecided else said

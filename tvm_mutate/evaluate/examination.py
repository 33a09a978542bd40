"""Whether a mutant accesses memory outside its buffers: by its indices, red zones, and AddressSanitizer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import tvm
from tvm.target import Target
from tvm.tirx import PrimFunc

from tvm_mutate.build import Kernel, KnownKernels, SanitizedKernels, SanitizerMissingError, build_batch
from tvm_mutate.device import Ending, Stage, mutant_headroom, run_isolated
from tvm_mutate.evaluate.fast_library import first_calls
from tvm_mutate.evaluate.golden import empty
from tvm_mutate.evaluate.rebuild import COMPILING, RUNNING
from tvm_mutate.evaluate.red_zones import KINDS, READ, WRITE, Arena
from tvm_mutate.evaluate.workspace import Workspace, temporary_sizes
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.passes import Accesses, find_outside, selections_by_slot
from tvm_mutate.pipeline import Selections, Stages, mutated_tir_pipeline
from tvm_mutate.program import KernelCall, NotStraightLineError, Program, View, take_program

DEFINED, UNDEFINED, UNKNOWN = "defined", "undefined", "unknown"
INDICES, RED_ZONES, SANITIZER, CODE, CRASH = "indices", "red zones", "AddressSanitizer", "code", "crash"
_STRUCTURED = {Slot.GRAPH, Slot.KERNEL}
_MOST_CONFIRMED = 4
_UNDEF = "use of a value that is undefined (undef in LLVM IR)"
_UNWRITTEN = "read of memory that was never written, as where the compiler drops a value that is undefined"
_KINDS = {told: kind for kind, told in KINDS.items()}


@dataclass(frozen=True)
class UndefinedAccess:
    """An access of a kernel that is undefined: ``kind`` is ``read``, ``write``, or empty where it is not known.

    ``expression`` is the access in TVMScript (``evidence`` is ``indices``) or in C (``AddressSanitizer``), and empty
    where only its effect was seen (``red zones``, ``crash``) or a value is undefined in the generated ``code``;
    ``detail`` is for people.
    """

    kernel: str
    kind: str
    expression: str
    evidence: str
    detail: str


@dataclass(frozen=True)
class Examination:
    """What is known of the accesses of one mutant: its behaviour is defined, undefined or unknown.

    ``indices``, ``red_zones`` and ``sanitizer`` say in words what each way of looking came to.
    """

    behaviour: str
    accesses: tuple[UndefinedAccess, ...] = ()
    indices: str = ""
    red_zones: str = ""
    sanitizer: str = ""


@dataclass(frozen=True)
class _Seen:
    """What running a mutant between red zones has shown so far; ``running`` is the kernel that is being run."""

    changed: tuple[str, ...] = ()
    indices: Mapping[str, Accesses] = field(default_factory=dict)
    zones: Mapping[str, set[str]] = field(default_factory=dict)
    running: str = ""
    obstacle: str = ""


@dataclass(frozen=True)
class _Mutated:
    program: Program
    changed: Mapping[str, PrimFunc]
    known: Mapping[str, Kernel]


class Examiner:
    """Examines the mutants of one model, lowered for a CPU target of this machine; each in child processes.

    Each changed kernel is looked at on its first call in the mutated program, for the first of ``inputs``, which have
    shape [inputs, *input shape of the model].
    """

    def __init__(self, stages: Stages, inputs: np.ndarray, catalogue: Catalogue) -> None:
        self._stages, self._inputs, self._catalogue = stages, inputs, catalogue

    def examine(self, mutant: Mutant, seconds: float) -> Examination:
        """What is known of the mutant's accesses, within a time limit for each way of looking."""
        selections = selections_by_slot(mutant.mutations, self._catalogue)
        try:
            _ = self._unmutated
        except NotStraightLineError as error:
            return _not_looked(f"the model is no straight line of kernels: {error}")
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            place = Path(folder)
            ending = run_isolated(lambda stage: self._between(selections, stage, place), seconds, mutant_headroom())
            seen: _Seen = ending.value or ending.note or _Seen(obstacle=ending.reason)
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
        """The unmutated kernels, compiled once; children inherit them."""
        program = take_program(self._stages.at(Slot.KERNEL))
        functions = program.called()
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
            kernels = build_batch(functions, self._stages.target, Path(folder))
            for kernel in kernels.values():
                _ = kernel.run
        return KnownKernels(functions, kernels)

    def _mutated(self, selections: Selections) -> _Mutated:
        """The mutated program, and which of its kernels are others than the unmutated model's."""
        program = take_program(self._stages.mutated(selections, []))
        functions = program.called()
        known = {
            name: kernel
            for name, function in functions.items()
            if (kernel := self._unmutated.find(name, function)) is not None
            and not self._stages.is_lowered_otherwise(name, selections)
        }
        changed = {name: function for name, function in functions.items() if name not in known}
        return _Mutated(program, changed, known)

    def _between(self, selections: Selections, stage: Stage, folder: Path) -> _Seen:
        """Runs the mutated program on the first input, its changed kernels between red zones."""
        stage(COMPILING)
        if self._stages.has_faulty_memory_passes(selections):
            return _Seen(obstacle="the fault is in the planning of memory, which kernels one by one do without")
        try:
            mutated = self._mutated(selections)
        except NotStraightLineError as error:
            return _Seen(obstacle=f"the mutant is no straight line of kernels: {error}")
        seen = _Seen(tuple(mutated.changed))
        if set(selections) <= _STRUCTURED:
            seen = replace(seen, indices={name: find_outside(each) for name, each in mutated.changed.items()})
        stage(COMPILING, seen)
        kernels = dict(mutated.known)
        if mutated.changed:
            with mutated_tir_pipeline(selections, self._stages.target) as tir_pipeline:
                kernels |= build_batch(mutated.changed, self._stages.target, folder / "build", tir_pipeline)
        return _run_between(mutated, kernels, self._inputs[0], folder, stage, seen)

    def _sanitized(
        self, selections: Selections, suspects: Sequence[str], folder: Path
    ) -> tuple[list[UndefinedAccess], str]:
        """What AddressSanitizer finds in these kernels, and in words how it went."""
        mutated = self._mutated(selections)
        functions = {name: mutated.changed[name] for name in suspects if (folder / f"{name}.npz").exists()}
        found: list[UndefinedAccess] = []
        try:
            if Slot.TEXT in selections and self._stages.target.kind.name != "c":
                raise SanitizerMissingError("the fault is in the code of another code generator than that of C")
            if not functions:
                raise SanitizerMissingError("no kernel came to be run")
            with mutated_tir_pipeline(selections, Target("c")) as tir_pipeline:
                sanitized = SanitizedKernels(functions, folder / "sanitized", tir_pipeline)
            calls = {step.kernel: step for step in reversed(first_calls(mutated.program))}
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


def _run_between(
    mutated: _Mutated,
    kernels: Mapping[str, Kernel],
    data: np.ndarray,
    folder: Path,
    stage: Stage,
    seen: _Seen,
) -> _Seen:
    """Runs a program with its changed kernels between red zones; the arguments of their first calls go to ``folder``.

    What was seen up to a kernel is told before that kernel runs.
    """
    program, workspace = mutated.program, Workspace()
    values = {number: np.ascontiguousarray(data[np.newaxis]) for number in program.inputs}
    values |= {number: np.from_dlpack(tensor) for number, tensor in program.constants.items()}
    for step in program.steps:
        if isinstance(step, View):
            values[step.result] = values[step.argument].reshape(program.types[step.result].shape)
            continue
        arguments = [values[each] for each in step.arguments]
        if step.kernel not in mutated.changed:
            results = _called(kernels[step.kernel], arguments, step, program)
        else:
            if not (folder / f"{step.kernel}.npz").exists():
                np.savez(folder / f"{step.kernel}.npz", *arguments)
            stage(RUNNING, replace(seen, running=step.kernel))
            arena = _arena(step, program, workspace, mutated.changed[step.kernel])
            found, undefined = arena.run(kernels[step.kernel], arguments, thoroughly=True)
            undefined |= {_UNDEF} if kernels[step.kernel].undefined_values else set()
            results = [each.copy() for each in found]
            seen = replace(seen, zones={**seen.zones, step.kernel: seen.zones.get(step.kernel, set()) | undefined})
        values.update(zip(step.results, results, strict=True))
    return seen


def _called(kernel: Kernel, arguments: Sequence[np.ndarray], step: KernelCall, program: Program) -> list[np.ndarray]:
    results = [empty(program.types[each]) for each in step.results]
    kernel.run(*map(tvm.runtime.tensor, arguments), *results)
    return [np.from_dlpack(each) for each in results]


def _arena(step: KernelCall, program: Program, workspace: Workspace, function: PrimFunc) -> Arena:
    given, results = ([program.types[each] for each in numbers] for numbers in (step.arguments, step.results))
    return Arena(given, results, workspace, temporary_sizes(function))


def _suspects(seen: _Seen) -> list[str]:
    """The kernels that AddressSanitizer has to look at: all that are not settled, and some whose guilt is certain."""
    waiting = [name for name in seen.changed if not _is_settled(seen, name)]
    certain = [name for name in waiting if name in seen.indices and seen.indices[name].outside]
    return [name for name in waiting if name not in certain[_MOST_CONFIRMED:]]


def _is_settled(seen: _Seen, name: str) -> bool:
    """Whether a kernel is certain to stay in its buffers, so that no further look is worth its time."""
    return _inside(seen, name) and name in seen.zones and WRITE not in seen.zones[name]


def _inside(seen: _Seen, name: str) -> bool:
    """Whether every index of a kernel is inside its buffer."""
    known = seen.indices.get(name)
    return known is not None and known.others_inside and not known.outside


def _not_looked(reason: str) -> Examination:
    return Examination(UNKNOWN, (), *[f"not looked at: {reason}"] * 3)


def _concluded(seen: _Seen, ending: Ending, sanitized: Ending | None) -> Examination:
    found = [
        UndefinedAccess(kernel, each.kind, each.expression, INDICES, each.reached)
        for kernel, accesses in seen.indices.items()
        for each in accesses.outside
    ]
    found += [_seen_access(seen, kernel, each) for kernel, kinds in seen.zones.items() for each in sorted(kinds)]
    if ending.kind == "died" and seen.running:
        found.append(UndefinedAccess(seen.running, "", "", CRASH, ending.reason))
    told = "not needed: every index is inside its buffer" if seen.changed else "not needed: no kernel is another one"
    if sanitized is not None:
        accesses, told = sanitized.value or ([], f"not looked at: it {sanitized.kind} ({sanitized.reason})")
        found += accesses
    whole = ending.kind == "finished"
    behaviour = UNDEFINED if found else DEFINED if whole else UNKNOWN
    return Examination(behaviour, tuple(found), _told_of_indices(seen), _told_of_zones(seen, ending), told)


def _seen_access(seen: _Seen, kernel: str, what: str) -> UndefinedAccess:
    """What running a kernel has shown, with the evidence for it."""
    if what == _UNDEF:
        return UndefinedAccess(kernel, "", "", CODE, what)
    return UndefinedAccess(
        kernel, _KINDS[what], "", RED_ZONES, _UNWRITTEN if what == READ and _inside(seen, kernel) else what
    )


def _told_of_indices(seen: _Seen) -> str:
    if not seen.changed:
        return "not needed: no kernel is another one"
    if not seen.indices:
        return "not looked at: the fault is in the compiler's passes or behind them"
    undecided = sum(not each.others_inside for each in seen.indices.values())
    return _counted(seen.indices, (each.outside for each in seen.indices.values()), undecided)


def _told_of_zones(seen: _Seen, ending: Ending) -> str:
    if ending.kind != "finished":
        return f"it {ending.kind} in {seen.running or 'the compiler'} ({ending.reason})"
    outside = (kinds - {_UNDEF} for kinds in seen.zones.values())
    return _counted(seen.zones, outside, 0, "undefined") if seen.zones else "not needed: no kernel is another one"


def _counted(looked_at: Mapping[str, object], found: Iterable[object], undecided: int, what: str = "outside") -> str:
    guilty = sum(bool(each) for each in found)
    said = f"{what} in {guilty} of {len(looked_at)} kernels" if guilty else f"nothing {what}"
    return f"{said}, {undecided} undecided" if undecided else said

"""Runs a mutated program with its changed kernels between red zones, and notes what that shows of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tvm
from tvm.tirx import PrimFunc

from tvm_mutate.evaluate.golden import empty
from tvm_mutate.evaluate.red_zones import Arena
from tvm_mutate.evaluate.workspace import Workspace
from tvm_mutate.kernels import Kernel
from tvm_mutate.passes import Accesses
from tvm_mutate.program import KernelCall, Program, View

UNDEF = "use of a value that is undefined (undef in LLVM IR)"


@dataclass(frozen=True)
class Seen:
    """What running a mutant between red zones has shown so far; ``running`` is the kernel that is being run."""

    changed: tuple[str, ...] = ()
    indices: Mapping[str, Accesses] = field(default_factory=dict)
    zones: Mapping[str, set[str]] = field(default_factory=dict)
    running: str = ""
    obstacle: str = ""


@dataclass(frozen=True)
class MutatedProgram:
    """A mutated program, the functions of those of its kernels that changed, and the kernels of the others."""

    program: Program
    changed: Mapping[str, PrimFunc]
    known: Mapping[str, Kernel]


def run_between_zones(
    mutated: MutatedProgram,
    kernels: Mapping[str, Kernel],
    marked: Mapping[str, Kernel],
    data: np.ndarray,
    folder: Path,
    tell: Callable[[Seen], None],
    seen: Seen,
) -> Seen:
    """What running a program on ``data`` (one input, without its batch axis) showed of its changed kernels.

    ``marked`` are those of them that mark conversions that do not fit. What was seen up to a kernel is told before
    that kernel runs; the arguments of their first calls go to ``folder``.
    """
    program, workspace = mutated.program, Workspace()
    values = {number: np.ascontiguousarray(data[np.newaxis]) for number in program.inputs}
    values |= {number: np.from_dlpack(tensor) for number, tensor in program.constants.items()}
    for step in program.steps:
        if isinstance(step, View):
            values[step.result] = values[step.argument].reshape(program.types[step.result].shape)
            continue
        arguments = [values[each] for each in step.arguments]
        kernel = kernels[step.kernel]
        if step.kernel not in mutated.changed:
            results = _called(kernel, arguments, step, program)
        else:
            if not (folder / f"{step.kernel}.npz").exists():
                np.savez(folder / f"{step.kernel}.npz", *arguments)
            tell(replace(seen, running=step.kernel))
            arena = Arena.of_call(step, program, workspace)
            tensors = [tvm.runtime.tensor(each) for each in arguments]
            found = arena.run(kernel, tensors, thoroughly=True, marked=marked.get(step.kernel))
            undefined = found.undefined | ({UNDEF} if kernel.undefined_values else set())
            results = [each.copy() for each in found.results]
            seen = replace(seen, zones={**seen.zones, step.kernel: seen.zones.get(step.kernel, set()) | undefined})
        values.update(zip(step.results, results, strict=True))
    return seen


def _called(kernel: Kernel, arguments: Sequence[np.ndarray], step: KernelCall, program: Program) -> list[np.ndarray]:
    results = [empty(program.types[each]) for each in step.results]
    kernel.run(*map(tvm.runtime.tensor, arguments), *results)
    return [np.from_dlpack(each) for each in results]

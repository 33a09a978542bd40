"""The fast kernels of a program: better schedules with the same bits, for all that is not mutated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tvm.target import Target
from tvm.tirx import PrimFunc

from tvm_mutate.kernels import (
    Kernel,
    KernelStore,
    Library,
    agrees,
    build_library,
    contracts,
    fast_schedule,
    fast_target,
)
from tvm_mutate.program import KernelCall, Program


def fast_library(
    program: Program,
    target: Target,
    plain: Mapping[str, Kernel],
    values: Mapping[int, np.ndarray],
    folder: Path,
    store: KernelStore,
) -> Library | None:
    """The library of those kernels of a program that have a better schedule with the same bits; None without any.

    Each is checked against the plain kernel on the arguments of its first call, which ``values`` has by number, and
    on perturbed ones. Raises nothing for a schedule that TVM does not compile: then there is no library.
    """
    native = fast_target(target)
    if native is None:
        return None
    scheduled = _scheduled(program, contracts(target))
    if not scheduled:
        return None
    try:
        library = build_library(scheduled, native, folder, store)
    except Exception:  # what TVM's C++ threw: the plain kernels are there
        return None
    loaded = library.load()
    good = {
        step.kernel
        for step in first_calls(program)
        if step.kernel in loaded and _agree(plain[step.kernel], loaded[step.kernel], step, program, values)
    }
    return Library(library.path, {name: digest for name, digest in library.digests.items() if name in good})


def first_calls(program: Program) -> list[KernelCall]:
    """The first call of each kernel of a program, in order."""
    calls: dict[str, KernelCall] = {}
    for step in program.steps:
        if isinstance(step, KernelCall):
            calls.setdefault(step.kernel, step)
    return list(calls.values())


def _scheduled(program: Program, contraction: bool) -> dict[str, PrimFunc]:
    found = {
        step.kernel: fast_schedule(program.kernels[step.kernel], contraction=contraction)
        for step in first_calls(program)
        if len(step.results) == 1
    }
    return {name: function for name, function in found.items() if function is not None}


def _agree(plain: Kernel, fast: Kernel, step: KernelCall, program: Program, values: Mapping[int, np.ndarray]) -> bool:
    kind = program.types[step.results[0]]
    return agrees(plain.run, fast.run, [values[number] for number in step.arguments], kind.shape, kind.dtype)

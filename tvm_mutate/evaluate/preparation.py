"""What content-addressed evaluation needs of the unmutated program: compiled kernels and golden values, in files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tvm.target import Target
from tvm.tirx import PrimFunc

from tvm_mutate.device import Ending, Stage, run_isolated
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING
from tvm_mutate.evaluate.host import GoldenValues, HostMemory, record_golden, run_on_host
from tvm_mutate.evaluate.program import KernelCall, Program, take_program
from tvm_mutate.kernels import (
    DEFAULT_TOOLCHAIN,
    Kernel,
    KernelStore,
    Library,
    Toolchain,
    agrees,
    build_library,
    contracts,
    fast_schedule,
    fast_target,
    user_kernel_store,
)
from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline import Stages

# Making a fast kernel and checking it takes about this long; shorter campaigns do better with plain ones.
_SECONDS_A_FAST_KERNEL = 0.2
# A fault is half-way down the program, in the mean.
_SHARE_BEHIND_A_FAULT = 0.5


@dataclass(frozen=True)
class Prepared:
    """The unmutated program of one model on one device, ready for evaluating its mutants in any process.

    ``plain`` are its kernels as the device under test has them, ``fast`` those that have a better schedule with the
    same bits, None where there are none or where making them takes longer than they save. ``toolchain`` compiles C
    text.
    """

    golden: GoldenValues
    plain: Library
    fast: Library | None
    toolchain: Toolchain = DEFAULT_TOOLCHAIN

    @property
    def stored(self) -> int:
        """How many inputs have their golden values on file."""
        return self.golden.stored


@dataclass(frozen=True)
class Preparation:
    """What to prepare: golden values in the file ``path``, at most ``limit_bytes`` of them.

    ``mutants`` says how many are going to be evaluated, ``fast_kernels`` whether unmutated kernels may be replaced by
    faster ones; flags of the ``toolchain`` that compiles C text forbid it, for nobody knows how they round.
    """

    path: Path
    limit_bytes: int
    mutants: int
    fast_kernels: bool = True
    toolchain: Toolchain = DEFAULT_TOOLCHAIN


def prepare(stages: Stages, inputs: np.ndarray, outputs: np.ndarray, wanted: Preparation, seconds: float) -> Ending:
    """The ending of preparing in a child process: its value is a Prepared, or a text that says why there is none.

    ``inputs`` has shape [inputs, *input shape of the model]; ``outputs`` are the scores of the whole unmutated build,
    which the kernels one by one have to give bit by bit.
    """
    return run_isolated(lambda stage: _prepared(stages, inputs, outputs, wanted, stage), seconds)


def _prepared(
    stages: Stages, inputs: np.ndarray, outputs: np.ndarray, wanted: Preparation, stage: Stage
) -> Prepared | str:
    stage(COMPILING)
    folder, store = wanted.path.parent / f"{wanted.path.stem}-kernels", user_kernel_store()
    program = take_program(stages.at(Slot.KERNEL))
    functions = program.called()
    plain = build_library(functions, stages.target, folder / "plain", store, wanted.toolchain)
    kernels = plain.load()
    stage(RUNNING)
    started = time.perf_counter()
    values = run_on_host(program, kernels, inputs[0], HostMemory())
    run_seconds = (time.perf_counter() - started) * len(inputs)
    fast = None
    if wanted.fast_kernels and not wanted.toolchain.flags and _pays(run_seconds, wanted.mutants, len(functions)):
        fast = _fast_library(program, stages.target, kernels, values, folder / "fast", store)
    for library in (fast, None) if fast else (None,):
        golden, rows = record_golden(program, merged(kernels, library), inputs, wanted.path, wanted.limit_bytes)
        if rows.tobytes() == outputs.tobytes():
            return Prepared(golden, plain, library, wanted.toolchain)
    return "the unmutated model gives other bits kernel by kernel than as a whole"


def merged(plain: Mapping[str, Kernel], fast: Library | None) -> dict[str, Kernel]:
    """The kernels of a program, fast where there are fast ones."""
    return {**plain, **(fast.load() if fast else {})}


def _pays(run_seconds: float, mutants: int, kernels: int) -> bool:
    return run_seconds * mutants * _SHARE_BEHIND_A_FAULT > kernels * _SECONDS_A_FAST_KERNEL


def _fast_library(
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
        for step in program.first_calls()
        if step.kernel in loaded and _agree(plain[step.kernel], loaded[step.kernel], step, program, values)
    }
    return Library(library.path, {name: digest for name, digest in library.digests.items() if name in good})


def _scheduled(program: Program, contraction: bool) -> dict[str, PrimFunc]:
    found = {
        step.kernel: fast_schedule(program.kernels[step.kernel], contraction=contraction)
        for step in program.first_calls()
        if len(step.results) == 1
    }
    return {name: function for name, function in found.items() if function is not None}


def _agree(plain: Kernel, fast: Kernel, step: KernelCall, program: Program, values: Mapping[int, np.ndarray]) -> bool:
    kind = program.types[step.results[0]]
    return agrees(plain.run, fast.run, [values[number] for number in step.arguments], kind.shape, kind.dtype)

"""Prepares content-addressed evaluation on this machine: files of compiled kernels and golden values."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tvm.tirx import PrimFunc

from tvm_mutate.device import Ending, Stage, run_isolated
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING
from tvm_mutate.evaluate.host import ALIGNMENT, HostMemory, HostRow, run_on_host, typed
from tvm_mutate.evaluate.program import KEY_BYTES, KernelCall, Program, content_key, take_program
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
from tvm_mutate.model import Workload
from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline import Stages
from tvm_mutate.samples import Sample, Samples

_PAGE = 4096
# The time for making and checking one fast kernel; they do not pay in shorter campaigns.
_SECONDS_A_FAST_KERNEL = 0.2
# On average, half of the program follows the fault.
_SHARE_BEHIND_A_FAULT = 0.5


@dataclass(frozen=True)
class GoldenValues:
    """The golden values of one program on one device, in a file.

    ``path`` holds one record of ``record_bytes`` for each of the first ``stored`` inputs; ``offsets`` are the positions
    of the values in a record. The file ``path`` + ``.keys`` holds the keys of the values' bytes, in the order of
    ``offsets``. The values of later inputs are computed again at every use.
    """

    path: str
    record_bytes: int
    offsets: dict[int, int]
    stored: int

    def rows(self, program: Program, samples: Samples) -> list[HostRow]:
        """The rows of the stored inputs, in order.

        They are mapped copy-on-write: a mutant that writes to them changes no file and no other process.
        """
        if 0 in (self.stored, self.record_bytes):
            return [HostRow(samples[position], {}, {}) for position in range(self.stored)]
        shape = (self.stored, self.record_bytes)
        records = np.memmap(self.path, np.uint8, mode="c", shape=shape)
        keys, length = Path(f"{self.path}.keys").read_bytes(), len(self.offsets) * KEY_BYTES
        return [
            HostRow(
                samples[position],
                {number: typed(record, at, program.types[number]) for number, at in self.offsets.items()},
                {keys[at : at + KEY_BYTES]: number for number, at in self._key_places(position * length)},
            )
            for position, record in enumerate(records)
        ]

    def _key_places(self, start: int) -> list[tuple[int, int]]:
        return [(number, start + position * KEY_BYTES) for position, number in enumerate(self.offsets)]


@dataclass(frozen=True)
class Prepared:
    """The unmutated program of one model on one device, ready for evaluating its mutants in any process.

    ``plain`` are the kernels of the device under test, ``fast`` the kernels with a better schedule and the same bits;
    None if there are none or they would not pay. ``toolchain`` compiles C code.
    """

    golden: GoldenValues
    plain: Library
    fast: Library | None
    toolchain: Toolchain = DEFAULT_TOOLCHAIN

    @property
    def stored(self) -> int:
        """The number of inputs whose golden values are in the file."""
        return self.golden.stored


@dataclass(frozen=True)
class Preparation:
    """What to prepare: golden values in the file ``path``, at most ``limit_bytes`` of them.

    ``mutants`` is the number of mutants to evaluate, ``fast_kernels`` allows faster unmutated kernels. Flags of the
    ``toolchain`` that compiles C code forbid faster kernels, because flags may change rounding.
    """

    path: Path
    limit_bytes: int
    mutants: int
    fast_kernels: bool = True
    toolchain: Toolchain = DEFAULT_TOOLCHAIN


def prepare(stages: Stages, workload: Workload, outputs: Samples, wanted: Preparation, seconds: float) -> Ending:
    """The ending of the preparation in a child process; its value is a Prepared, or a text that says why there is none.

    ``outputs`` are those of the whole unmutated build, which the kernels one by one must reproduce bit by bit.
    """
    return run_isolated(lambda stage: _prepared(stages, workload, outputs, wanted, stage), seconds)


def _prepared(
    stages: Stages, workload: Workload, outputs: Samples, wanted: Preparation, stage: Stage
) -> Prepared | str:
    stage(COMPILING)
    folder, store = wanted.path.parent / f"{wanted.path.stem}-kernels", user_kernel_store()
    program, samples = take_program(stages.at(Slot.KERNEL), workload), workload.samples
    functions = program.called()
    plain = build_library(functions, stages.target, folder / "plain", store, wanted.toolchain, stages.flow)
    kernels = plain.load()
    stage(RUNNING)
    started = time.perf_counter()
    values = run_on_host(program, kernels, samples[0], HostMemory())
    run_seconds = (time.perf_counter() - started) * len(samples)
    fast = None
    if wanted.fast_kernels and not wanted.toolchain.flags and _pays(run_seconds, wanted.mutants, len(functions)):
        fast = _fast_library(program, stages, kernels, values, folder / "fast", store)
    for library in (fast, None) if fast else (None,):
        golden, found = record_golden(program, merged(kernels, library), samples, wanted.path, wanted.limit_bytes)
        if found.has_bits_of(outputs):
            return Prepared(golden, plain, library, wanted.toolchain)
    return "the unmutated model gives other bits kernel by kernel than as a whole"


def merged(plain: Mapping[str, Kernel], fast: Library | None) -> dict[str, Kernel]:
    """The fast kernels of a program, and the plain ones of the other kernels."""
    return {**plain, **(fast.load() if fast else {})}


def _pays(run_seconds: float, mutants: int, kernels: int) -> bool:
    return run_seconds * mutants * _SHARE_BEHIND_A_FAULT > kernels * _SECONDS_A_FAST_KERNEL


def _fast_library(
    program: Program,
    stages: Stages,
    plain: Mapping[str, Kernel],
    values: Mapping[int, np.ndarray],
    folder: Path,
    store: KernelStore,
) -> Library | None:
    """The library of kernels with a better schedule and the same bits; None if there are none or TVM refuses one.

    Each is compared with the plain kernel on the arguments of its first call, which ``values`` holds by number, and on
    perturbed arguments.
    """
    native = fast_target(stages.target)
    if native is None:
        return None
    scheduled = _scheduled(program, contracts(stages.target))
    if not scheduled:
        return None
    try:
        library = build_library(scheduled, native, folder, store, flow=stages.flow)
    except Exception:  # any error of TVM: the plain kernels still work
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


def record_golden(
    program: Program, kernels: Mapping[str, Kernel], samples: Samples, path: Path, limit_bytes: int
) -> tuple[GoldenValues, Samples]:
    """Runs the unmutated program on all samples and gives its golden values and its outputs.

    The golden values of as many samples as fit into ``limit_bytes`` are written to ``path``.
    """
    offsets, record_bytes = _layout(program)
    stored = min(len(samples), limit_bytes // max(record_bytes, 1))
    outputs: list[Sample] = []
    memory = HostMemory()
    with path.open("wb") as file, Path(f"{path}.keys").open("wb") as keys:
        for position in range(len(samples)):
            values = run_on_host(program, kernels, samples[position], memory)
            outputs.append(tuple(values[number].copy() for number in program.outputs))
            if position < stored:
                record = np.zeros(record_bytes, np.uint8)
                for number, offset in offsets.items():
                    typed(record, offset, program.types[number])[...] = values[number]
                file.write(record.data)
                keys.write(b"".join(content_key(values[number]) for number in offsets))
    return GoldenValues(str(path), record_bytes, offsets, stored), Samples.stack(outputs)


def _layout(program: Program) -> tuple[dict[int, int], int]:
    """The positions of kernel results in a record, and the length of a record in bytes."""
    offsets: dict[int, int] = {}
    end = 0
    for step in program.steps:
        for number in step.results if isinstance(step, KernelCall) else ():
            offsets[number] = end
            end += -(-program.types[number].byte_count // ALIGNMENT) * ALIGNMENT
    return offsets, -(-end // _PAGE) * _PAGE  # a file is mapped in whole pages

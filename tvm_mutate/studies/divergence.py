"""The divergence of two devices on a mutant: the first kernel whose values differ by more than rounding."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tvm_mutate.device import EndingKind, Stage, mutant_headroom, run_isolated
from tvm_mutate.errors import UsageError
from tvm_mutate.evaluate import COMPILING, RUNNING
from tvm_mutate.evaluate.host import HostMemory, start_values
from tvm_mutate.evaluate.program import take_program
from tvm_mutate.evaluate.program_run import run_calls
from tvm_mutate.kernels import Kernel, build_batch
from tvm_mutate.model import Workload
from tvm_mutate.mutant import Catalogue, Mutant
from tvm_mutate.oracle import absolute_differences
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Stages
from tvm_mutate.samples import Sample, Samples

MARGIN = 4.0


@dataclass(frozen=True)
class Call:
    """The results of one call of a kernel; ``ordinal`` counts the calls of that kernel, from 0."""

    kernel: str
    ordinal: int
    results: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Calls:
    """The calls of a program on one input, in order; ``reason`` says why the program ended early."""

    calls: tuple[Call, ...]
    reason: str = ""


class KernelRunner(Protocol):
    """Runs the kernels of a model one by one on a device and gives their results."""

    def calls(self, mutant: Mutant | None, sample: Sample) -> Calls:
        """The calls of the mutant (None: of the unmutated model) on one input, without its batch axis."""
        ...


class LocalRunner:
    """Runs kernels on the processor of this machine, compiled for the target of the stages, in child processes.

    ``seconds`` is the time limit of one run. Raises UsageError for a model that is no straight line of kernels.
    """

    def __init__(self, stages: Stages, workload: Workload, catalogue: Catalogue, seconds: float) -> None:
        self._stages, self._workload, self._catalogue, self._seconds = stages, workload, catalogue, seconds

    def calls(self, mutant: Mutant | None, sample: Sample) -> Calls:
        """The calls of the mutant (None: of the unmutated model) on one sample."""
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as name:
            folder = Path(name)
            ending = run_isolated(
                lambda stage: self._run(mutant, sample, folder, stage),
                self._seconds,
                mutant_headroom() if mutant else None,
            )
            if ending.kind == EndingKind.RAISED and not (folder / "0.npz").exists():
                raise UsageError(
                    f"kernels cannot be run one by one for {self._stages.target.kind.name}: {ending.reason}"
                )
            reason = "" if ending.kind == EndingKind.FINISHED else f"it {ending.kind} ({ending.reason})"
            return Calls(tuple(_read(folder)), reason)

    def _run(self, mutant: Mutant | None, sample: Sample, folder: Path, stage: Stage) -> None:
        stage(COMPILING)
        selections = selections_by_slot(mutant.mutations, self._catalogue) if mutant else {}
        program = take_program(self._stages.mutated(selections, []), self._workload)
        functions = program.called()
        with self._stages.mutated_flow(selections) as flow:
            kernels: Mapping[str, Kernel] = build_batch(functions, self._stages.target, folder / "build", flow)
        functions, values = {name: kernel.run for name, kernel in kernels.items()}, start_values(program, sample)
        for number, step in enumerate(run_calls(program, functions, HostMemory(), values)):
            partial = folder / "partial.npz"
            np.savez(partial, *(values[each].array for each in step.results), kernel=np.array(step.kernel))
            partial.rename(folder / f"{number}.npz")  # a file is complete or absent
            stage(RUNNING)


@dataclass(frozen=True)
class KernelDivergence:
    """The first call whose results differ by more than the tolerance, in ``elements`` of ``size``.

    ``call`` is its number among ``calls``, from 0, ``difference`` the largest difference (None for NaN and infinity).
    ``tolerance`` is the difference of the unmutated builds at this call, with the noise of both, times a margin.
    ``reason`` says why a device ended before the other.
    """

    call: int
    calls: int
    kernel: str
    difference: float | None
    tolerance: float
    elements: int
    size: int
    reason: str = ""


@dataclass(frozen=True)
class _Tolerance:
    """The difference of results without a fault: absolute, and relative to the largest result."""

    absolute: float = 0.0
    relative: float = 0.0

    def of(self, values: np.ndarray) -> float:
        """The tolerance for these results."""
        finite = np.abs(values[np.isfinite(values)])
        return max(self.absolute, self.relative * float(finite.max(initial=0.0)))


def find_kernel_divergence(
    mutant: Mutant, first: KernelRunner, second: KernelRunner, samples: Samples, margin: float = MARGIN
) -> KernelDivergence | None:
    """The earliest call, over all samples, whose results differ between two devices beyond the tolerance, or None.

    The tolerance is ``margin`` times the difference of the unmutated model, which runs twice on each device. Raises
    UsageError if the two devices do not call the same kernels.
    """
    found: list[KernelDivergence] = []
    for sample in map(samples.__getitem__, range(len(samples))):
        tolerances = _tolerances([runner.calls(None, sample) for runner in (first, first, second, second)])
        divergence = _first(first.calls(mutant, sample), second.calls(mutant, sample), tolerances, margin)
        if divergence is not None:
            found.append(divergence)
    return min(found, key=lambda each: each.call, default=None)


def _tolerances(runs: Sequence[Calls]) -> dict[tuple[str, int], _Tolerance]:
    """The tolerances of the unmutated calls; ``runs`` are two on each device, in order."""
    ours, ours_again, theirs, theirs_again = runs
    tolerances = {}
    for calls in zip(*(run.calls for run in (ours, ours_again, theirs, theirs_again)), strict=False):
        _check_alike(calls[0], calls[2])
        one, one_again, other, other_again = calls
        pairs = ((one, other), (one, one_again), (other, other_again))
        sizes = [_largest_difference(*pair) for pair in pairs]
        absolute = sum(0.0 if size is None else size for size in sizes)
        largest = max(
            (float(np.abs(each).max(initial=0.0)) for each in one.results if each.dtype.kind == "f"), default=0
        )
        tolerances[one.kernel, one.ordinal] = _Tolerance(absolute, absolute / largest if largest else 0.0)
    return tolerances


def _first(
    ours: Calls, theirs: Calls, tolerances: Mapping[tuple[str, int], _Tolerance], margin: float
) -> KernelDivergence | None:
    # A kernel that only the mutant calls gets the largest tolerance.
    loosest = _Tolerance(0.0, max((each.relative for each in tolerances.values()), default=0.0))
    count = max(len(ours.calls), len(theirs.calls))
    for number, (one, other) in enumerate(zip(ours.calls, theirs.calls, strict=False)):
        _check_alike(one, other)
        known = tolerances.get((one.kernel, one.ordinal), loosest)
        for a, b in zip(one.results, other.results, strict=True):
            tolerance = margin * known.of(a)
            difference = absolute_differences(a, b)
            beyond = int(np.sum(difference > tolerance))
            if beyond:
                finite = difference[(difference > tolerance) & np.isfinite(difference)]
                largest = float(finite.max()) if finite.size else None
                return KernelDivergence(number, count, one.kernel, largest, tolerance, beyond, a.size)
    if len(ours.calls) != len(theirs.calls):
        shorter, longer = sorted((ours, theirs), key=lambda run: len(run.calls))
        at = len(shorter.calls)
        return KernelDivergence(at, count, longer.calls[at].kernel, None, 0.0, 0, 0, shorter.reason)
    return None


def _check_alike(one: Call, other: Call) -> None:
    if (one.kernel, [each.shape for each in one.results]) != (other.kernel, [each.shape for each in other.results]):
        raise UsageError(
            f"the two devices do not call the same kernels: {one.kernel} on one where {other.kernel} is on the other"
        )


def _largest_difference(one: Call, other: Call) -> float | None:
    sizes = [absolute_differences(a, b) for a, b in zip(one.results, other.results, strict=True)]
    finite = np.concatenate([each[np.isfinite(each)].reshape(-1) for each in sizes])
    return float(finite.max()) if finite.size else None


def _read(folder: Path) -> Iterator[Call]:
    ordinals: Counter[str] = Counter()
    for number in range(len(list(folder.glob("[0-9]*.npz")))):
        with np.load(folder / f"{number}.npz") as archive:
            kernel = str(archive["kernel"])
            results = tuple(archive[f"arr_{each}"] for each in range(len(archive.files) - 1))
        yield Call(kernel, ordinals[kernel], results)
        ordinals[kernel] += 1

"""Where two devices part on a mutant: the first kernel whose values differ beyond what needs no fault."""

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
from tvm_mutate.evaluate.evaluation import COMPILING, RUNNING
from tvm_mutate.evaluate.host import HostMemory, start_values
from tvm_mutate.evaluate.program import take_program
from tvm_mutate.evaluate.program_run import run_calls
from tvm_mutate.kernels import Kernel, build_batch
from tvm_mutate.mutant import Catalogue, Mutant
from tvm_mutate.oracle import absolute_differences
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Stages, mutated_tir_pipeline

MARGIN = 4.0


@dataclass(frozen=True)
class Call:
    """The results of one call of a kernel; ``ordinal`` counts the calls of that kernel, from 0."""

    kernel: str
    ordinal: int
    results: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Calls:
    """The calls of a program on one input, in order, up to where it ended; ``reason`` says why it ended early."""

    calls: tuple[Call, ...]
    reason: str = ""


class KernelSession(Protocol):
    """What runs a model's kernels one by one, on some device, and gives their values back."""

    def calls(self, mutant: Mutant | None, data: np.ndarray) -> Calls:
        """The calls of the mutant (None: of the unmutated model) on one input, without its batch axis."""
        ...


class LocalSession:
    """Runs kernels on the processor of this machine, compiled for the stages' target, in child processes.

    ``seconds`` is the time limit of one run. Raises UsageError for what is no straight line of kernels.
    """

    def __init__(self, stages: Stages, catalogue: Catalogue, seconds: float) -> None:
        self._stages, self._catalogue, self._seconds = stages, catalogue, seconds

    def calls(self, mutant: Mutant | None, data: np.ndarray) -> Calls:
        """The calls of the mutant (None: of the unmutated model) on one input, without its batch axis."""
        with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as name:
            folder = Path(name)
            ending = run_isolated(
                lambda stage: self._run(mutant, data, folder, stage),
                self._seconds,
                mutant_headroom() if mutant else None,
            )
            if ending.kind == EndingKind.RAISED and not (folder / "0.npz").exists():
                raise UsageError(
                    f"kernels cannot be run one by one for {self._stages.target.kind.name}: {ending.reason}"
                )
            reason = "" if ending.kind == EndingKind.FINISHED else f"it {ending.kind} ({ending.reason})"
            return Calls(tuple(_read(folder)), reason)

    def _run(self, mutant: Mutant | None, data: np.ndarray, folder: Path, stage: Stage) -> None:
        stage(COMPILING)
        selections = selections_by_slot(mutant.mutations, self._catalogue) if mutant else {}
        program = take_program(self._stages.mutated(selections, []))
        functions = program.called()
        with mutated_tir_pipeline(selections, self._stages.target) as tir_pipeline:
            kernels: Mapping[str, Kernel] = build_batch(functions, self._stages.target, folder / "build", tir_pipeline)
        functions, values = {name: kernel.run for name, kernel in kernels.items()}, start_values(program, data)
        for number, step in enumerate(run_calls(program, functions, HostMemory(), values)):
            partial = folder / "partial.npz"
            np.savez(partial, *(values[each].array for each in step.results), kernel=np.array(step.kernel))
            partial.rename(folder / f"{number}.npz")  # whole, or not there
            stage(RUNNING)


@dataclass(frozen=True)
class KernelParting:
    """The first call whose results differ beyond the floor: by ``difference`` at most, in ``elements`` of ``size``.

    ``call`` is its number among ``calls``, from 0. ``floor`` is what the unmutated builds differ by there, by size of
    the values, and the noise of both, times a margin. ``reason`` is there where a device ended before the other.
    """

    call: int
    calls: int
    kernel: str
    difference: float | None
    floor: float
    elements: int
    size: int
    reason: str = ""


@dataclass(frozen=True)
class _Floor:
    """What results differ by without a fault: absolutely, and as a share of the largest of them."""

    absolute: float = 0.0
    relative: float = 0.0

    def of(self, values: np.ndarray) -> float:
        """The floor for results of this size."""
        finite = np.abs(values[np.isfinite(values)])
        return max(self.absolute, self.relative * float(finite.max(initial=0.0)))


def find_kernel_parting(
    mutant: Mutant, first: KernelSession, second: KernelSession, inputs: Sequence[np.ndarray], margin: float = MARGIN
) -> KernelParting | None:
    """The earliest call, over all inputs, whose results differ between two sessions beyond the floor; None without one.

    The unmutated model runs twice on both, for the floor: differences within ``margin`` times that are ordinary.
    Raises UsageError where the two do not call the same kernels, so that there is nothing to compare.
    """
    found: list[KernelParting] = []
    for data in inputs:
        floors = _floors([session.calls(None, data) for session in (first, first, second, second)])
        parting = _first(first.calls(mutant, data), second.calls(mutant, data), floors, margin)
        if parting is not None:
            found.append(parting)
    return min(found, key=lambda each: each.call, default=None)


def _floors(runs: Sequence[Calls]) -> dict[tuple[str, int], _Floor]:
    """The floors of the unmutated calls; runs are two on each session, in order."""
    ours, ours_again, theirs, theirs_again = runs
    floors = {}
    for calls in zip(*(run.calls for run in (ours, ours_again, theirs, theirs_again)), strict=False):
        _check_alike(calls[0], calls[2])
        one, one_again, other, other_again = calls
        pairs = ((one, other), (one, one_again), (other, other_again))
        sizes = [_largest_difference(*pair) for pair in pairs]
        absolute = sum(0.0 if size is None else size for size in sizes)
        largest = max(
            (float(np.abs(each).max(initial=0.0)) for each in one.results if each.dtype.kind == "f"), default=0
        )
        floors[one.kernel, one.ordinal] = _Floor(absolute, absolute / largest if largest else 0.0)
    return floors


def _first(ours: Calls, theirs: Calls, floors: Mapping[tuple[str, int], _Floor], margin: float) -> KernelParting | None:
    # A kernel that only the mutant calls has no floor of its own: the loosest has to do.
    loosest = _Floor(0.0, max((each.relative for each in floors.values()), default=0.0))
    count = max(len(ours.calls), len(theirs.calls))
    for number, (one, other) in enumerate(zip(ours.calls, theirs.calls, strict=False)):
        _check_alike(one, other)
        known = floors.get((one.kernel, one.ordinal), loosest)
        for a, b in zip(one.results, other.results, strict=True):
            floor = margin * known.of(a)
            difference = absolute_differences(a, b)
            beyond = int(np.sum(difference > floor))
            if beyond:
                finite = difference[(difference > floor) & np.isfinite(difference)]
                largest = float(finite.max()) if finite.size else None
                return KernelParting(number, count, one.kernel, largest, floor, beyond, a.size)
    if len(ours.calls) != len(theirs.calls):
        shorter, longer = sorted((ours, theirs), key=lambda run: len(run.calls))
        at = len(shorter.calls)
        return KernelParting(at, count, longer.calls[at].kernel, None, 0.0, 0, 0, shorter.reason)
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

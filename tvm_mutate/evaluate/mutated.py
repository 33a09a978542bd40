"""A mutated program against the golden values: which of its values have to be calculated, and what that told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from tvm_mutate.evaluate.keys import Key, call_key
from tvm_mutate.evaluate.rebuild import Run
from tvm_mutate.program import KernelCall, Program, Step

AnyKernel = TypeVar("AnyKernel", covariant=True)


@dataclass(frozen=True)
class Unsuitable:
    """A mutant is not evaluated by content, and why; it goes to the full rebuild."""

    reason: str


@dataclass(frozen=True)
class Mutated(Generic[AnyKernel]):
    """A mutated program with its kernels by name, the names of the changed ones, and the keys of its values."""

    program: Program
    kernels: Mapping[str, AnyKernel]
    changed: frozenset[str]
    keys: tuple[Key | None, ...]


@dataclass(frozen=True)
class GoldenKeys:
    """The keys of the unmutated program's values, by number, and the numbers of those that kernels wrote, by key."""

    keys: tuple[Key | None, ...]
    numbers: Mapping[Key, int]

    @classmethod
    def of(cls, program: Program, keys: tuple[Key | None, ...]) -> GoldenKeys:
        """The keys of a program that stand for golden values: a view shares its argument's key, and has no bytes."""
        written = [each for step in program.steps if isinstance(step, KernelCall) for each in step.results]
        return cls(keys, {keys[number] or b"": number for number in written})


@dataclass
class Trace:
    """What one mutant did along the program, over all inputs; ``kernel_seconds`` is the time inside of kernels."""

    reached: bool = False
    infected: bool = False
    masked_by: set[str] = field(default_factory=set)
    undefined: set[str] = field(default_factory=set)
    kernel_runs: int = 0
    kernel_seconds: float = 0.0

    def note_call(self, kernel: str, fault: bool, same: bool) -> None:
        """Notes that a kernel ran: whether the fault acts in it, and whether its results are golden."""
        self.kernel_runs += 1
        self.reached |= fault
        self.infected |= fault and not same
        if self.infected and not fault and same:
            self.masked_by.add(kernel)


def needed_steps(program: Program, keys: Sequence[Key | None], golden: GoldenKeys) -> list[tuple[int, Step]]:
    """The steps that the output needs and that are not known to be golden, with their numbers, in order."""
    writers = program.writers()
    needed: set[int] = set()
    waiting = list(program.outputs)
    while waiting:
        value = waiting.pop()
        step = writers.get(value)
        if step is None or step in needed or keys[value] in golden.numbers:
            continue
        needed.add(step)
        at = program.steps[step]
        waiting += at.arguments if isinstance(at, KernelCall) else (at.argument,)
    return [(number, program.steps[number]) for number in sorted(needed)]


def take_call_keys(step: KernelCall, digest: str, keys: list[Key | None], golden: GoldenKeys) -> bool:
    """Gives the results of a call their keys by its kernel's digest; whether all of them are golden."""
    arguments = [keys[each] for each in step.arguments]
    for position, result in enumerate(step.results):
        keys[result] = call_key(digest, arguments, position)
    return all(keys[result] in golden.numbers for result in step.results)


def with_course(run: Run, rows: Sequence[np.ndarray], seconds: Sequence[float], trace: Trace) -> Run:
    """The run with what came of it: the scores and seconds of each input, and what the mutant did on the way."""
    return replace(
        run,
        outputs=np.stack(rows),
        run_seconds=tuple(seconds),
        reached=trace.reached,
        infected=trace.infected,
        masked_by=tuple(sorted(trace.masked_by)),
        undefined=tuple(sorted(trace.undefined.union(run.undefined or ()))),
        kernel_runs=trace.kernel_runs,
        kernel_seconds=trace.kernel_seconds,
    )

"""What the evaluation of one mutant gives, and when the mutant has run on enough inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tvm_mutate.oracle import Oracle, compare, top_labels, wilson_interval
from tvm_mutate.passes import Applied

COMPILING = "compile"
RUNNING = "run"


@dataclass
class Trace:
    """What one mutant did on all inputs so far; ``kernel_seconds`` is the time inside kernels."""

    reached: bool = False
    infected: bool = False
    masked_by: set[str] = field(default_factory=set)
    undefined: set[str] = field(default_factory=set)
    kernel_runs: int = 0
    kernel_seconds: float = 0.0

    def note_call(self, kernel: str, fault: bool, same: bool) -> None:
        """Notes a kernel call: ``fault`` if the fault acts in the call, ``same`` if its results are golden."""
        self.kernel_runs += 1
        self.reached |= fault
        self.infected |= fault and not same
        if self.infected and not fault and same:
            self.masked_by.add(kernel)


@dataclass(frozen=True)
class InputsRun:
    """The scores (each of shape [classes]) and seconds of every input that ran, and the trace of the mutant."""

    rows: tuple[np.ndarray, ...]
    seconds: tuple[float, ...]
    trace: Trace


@dataclass(frozen=True)
class Evaluation:
    """The result of one build of a model: the digest of its code, its scores, and times in seconds.

    ``outputs`` has shape [inputs, classes]; None if the code is that of the unmutated build, which needs no run.
    ``run_seconds`` has one entry for each input. The next fields are known only if kernels ran one by one: whether a
    mutated kernel ran (``reached``) and gave other bytes than golden (``infected``), the kernels that masked the fault,
    the kinds of undefined behaviour, and the number of kernel calls and their time. ``proof`` says why the mutant is
    equivalent; ``repeated`` are the scores of a second run of the unmutated build.
    """

    applied: tuple[Applied, ...]
    digest: str
    build_seconds: float
    outputs: np.ndarray | None = None
    run_seconds: tuple[float, ...] = ()
    reached: bool | None = None
    infected: bool | None = None
    masked_by: tuple[str, ...] = ()
    undefined: tuple[str, ...] | None = None
    kernel_runs: int | None = None
    kernel_seconds: float | None = None
    proof: str | None = None
    repeated: np.ndarray | None = None

    @property
    def sites(self) -> int:
        """The number of rewritten sites in functions that became structurally different."""
        return sum(len(each.sites) for each in self.applied if each.changed)

    def completed(self, run: InputsRun) -> Evaluation:
        """The evaluation with the results of running the inputs."""
        trace = run.trace
        return replace(
            self,
            outputs=np.stack(run.rows),
            run_seconds=run.seconds,
            reached=trace.reached,
            infected=trace.infected,
            masked_by=tuple(sorted(trace.masked_by)),
            undefined=tuple(sorted(trace.undefined.union(self.undefined or ()))),
            kernel_runs=trace.kernel_runs,
            kernel_seconds=trace.kernel_seconds,
        )


@dataclass(frozen=True)
class Progress:
    """What is known of a mutant if its process ends early: the mutations applied so far.

    ``undefined`` are the kinds of undefined accesses that are known before the mutant runs; None if not examined.
    """

    applied: tuple[Applied, ...]
    undefined: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Unsuitable:
    """Why a mutant cannot be evaluated kernel by kernel and needs the full rebuild."""

    reason: str


@dataclass(frozen=True)
class StopRule:
    """Stops at the first input on which the oracle notices the mutant, or when the dissimilarity is precise enough.

    ``golden`` are the scores of the unmutated build, shape [inputs, classes]. ``killed_by`` is the oracle, or None;
    ``precision`` is the largest allowed width of the 95 % Wilson interval of the share of changed labels, or None.
    """

    golden: np.ndarray
    killed_by: Oracle | None = None
    precision: float | None = None

    def is_settled(self, rows: Sequence[np.ndarray]) -> bool:
        """Whether the mutant has run on enough inputs; ``rows`` are its scores so far."""
        count = len(rows)
        if self.killed_by is not None:
            last = compare(self.golden[count - 1 : count], rows[-1][np.newaxis], None, [self.killed_by])
            if len(last.noticed_by(self.killed_by)):
                return True
        if self.precision is None:
            return False
        changed = int((top_labels(np.stack(rows)) != top_labels(self.golden[:count])).sum())
        low, high = wilson_interval(changed, count)
        return high - low <= self.precision

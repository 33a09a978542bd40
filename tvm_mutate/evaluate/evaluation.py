"""What the evaluation of one mutant gives, and when the mutant has run on enough inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tvm_mutate.oracle import Oracle, changed_labels, is_noticed, wilson_interval
from tvm_mutate.passes import Applied
from tvm_mutate.samples import Sample, Samples

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
    """The outputs and seconds of every sample that ran, and the trace of the mutant."""

    outputs: tuple[Sample, ...]
    seconds: tuple[float, ...]
    trace: Trace


@dataclass(frozen=True)
class Evaluation:
    """The result of one build of a model: the digest of its code, its outputs, and times in seconds.

    ``outputs`` is None if the code is that of the unmutated build, which needs no run.
    ``run_seconds`` has one entry for each input. The next fields are known only if kernels ran one by one: whether a
    mutated kernel ran (``reached``) and gave other bytes than golden (``infected``), the kernels that masked the fault,
    the kinds of undefined behaviour, and the number of kernel calls and their time. ``proof`` says why the mutant is
    equivalent; ``repeated`` are the outputs of a second run of the unmutated build.
    """

    applied: tuple[Applied, ...]
    digest: str
    build_seconds: float
    outputs: Samples | None = None
    run_seconds: tuple[float, ...] = ()
    reached: bool | None = None
    infected: bool | None = None
    masked_by: tuple[str, ...] = ()
    undefined: tuple[str, ...] | None = None
    kernel_runs: int | None = None
    kernel_seconds: float | None = None
    proof: str | None = None
    repeated: Samples | None = None

    @property
    def sites(self) -> int:
        """The number of rewritten sites in functions that became structurally different."""
        return sum(len(each.sites) for each in self.applied if each.changed)

    def completed(self, run: InputsRun) -> Evaluation:
        """The evaluation with the results of running the inputs."""
        trace = run.trace
        return replace(
            self,
            outputs=Samples.stack(run.outputs),
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
    """Stops at the first sample on which the oracle notices the mutant, or when the dissimilarity is precise enough.

    ``golden`` are the outputs of the unmutated build. ``until_killed`` stops at the first noticed sample; ``precision``
    is the largest allowed width of the 95 % Wilson interval of the share of changed labels (of noticed samples, if the
    program is no classifier), or None.
    """

    golden: Samples
    oracle: Oracle
    until_killed: bool = False
    precision: float | None = None

    def is_settled(self, outputs: Sequence[Sample]) -> bool:
        """Whether the mutant has run on enough samples; ``outputs`` are those of the mutant so far."""
        count = len(outputs)
        if self.until_killed and is_noticed(self.oracle, self.golden[count - 1], outputs[-1]):
            return True
        if self.precision is None:
            return False
        changed = changed_labels(self.golden.first(count), Samples.stack(outputs))
        if changed is None:
            noticed = sum(is_noticed(self.oracle, self.golden[at], each) for at, each in enumerate(outputs))
            low, high = wilson_interval(noticed, count)
        else:
            low, high = wilson_interval(*changed)
        return high - low <= self.precision

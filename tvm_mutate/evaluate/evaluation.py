"""What evaluating one mutant gives: a finished run, partial knowledge, or the reason why it has to be rebuilt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tvm_mutate.evaluate.program_run import InputsRun
from tvm_mutate.passes import Applied

COMPILING = "compile"
RUNNING = "run"


@dataclass(frozen=True)
class Evaluation:
    """What one build of a model gave: the digest of its code, its scores, and times in seconds.

    ``outputs`` has shape [inputs, classes]; None if the code is that of the unmutated build, so that nothing had to
    run. ``run_seconds`` has one entry an input. The following are known only if kernels ran one by one: whether a
    mutated kernel ran (``reached``) and gave other bytes than golden (``infected``), the kernels at which the fault
    died (``masked_by``), the kinds of ``undefined`` behaviour, and how many kernels ran, for how long. ``proof`` says
    why the mutant is proved to be equivalent; ``repeated`` are the scores of a second run of the unmutated build.
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
        """How many sites were rewritten in functions that came out structurally different."""
        return sum(len(each.sites) for each in self.applied if each.changed)

    def completed(self, run: InputsRun) -> Evaluation:
        """The same with what running the inputs gave."""
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
    """What is known of a mutant while it is evaluated, in case its process ends: what was applied so far.

    ``undefined`` are the kinds of undefined accesses that are known before the mutant runs; None if not looked at.
    """

    applied: tuple[Applied, ...]
    undefined: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Unsuitable:
    """Why a mutant cannot be evaluated kernel by kernel; it goes to the full rebuild."""

    reason: str

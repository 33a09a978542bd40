"""What makes a campaign's verdicts believable: unmutated builds that work, and canaries that come out as known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_mutate.campaign.engine import WorkerDeathError
from tvm_mutate.campaign.record import Baseline
from tvm_mutate.errors import UntrustedError
from tvm_mutate.oracle import Verdict
from tvm_mutate.results import BaselineRow, CanaryRow, MutantRow


@dataclass(frozen=True)
class Canary:
    """A mutant whose verdict is known beforehand; if it comes out otherwise, no verdict can be believed."""

    name: str
    mutant: str
    verdict: Verdict


CANARIES = (
    Canary("no-op", "canary.reverse-loop@*#*", Verdict.SURVIVED),
    Canary("sure kill", "canary.negate-output@main#*", Verdict.KILLED),
)


def trusted(answer: Any) -> Any:
    """The answer about an unmutated build or a canary; raises UntrustedError where a worker died over it."""
    if isinstance(answer, WorkerDeathError):
        raise UntrustedError(f"{answer} over an unmutated build or a canary; is there enough memory?")
    return answer


def canary_row(canary: Canary, row: MutantRow) -> CanaryRow:
    """The row of a canary in the results; raises UntrustedError where its verdict is not what is known."""
    if row.verdict != canary.verdict:
        raise UntrustedError(
            f"the {canary.name} canary of {row.model} on {row.device} came out {row.verdict}, not "
            f"{canary.verdict} ({row.reason}); no verdict of this campaign could be believed"
        )
    return CanaryRow(
        device=row.device,
        model=row.model,
        canary=canary.name,
        id=row.id,
        verdict=row.verdict,
        ok=True,
        reason=row.reason,
    )


def baseline_row(baseline: Baseline) -> BaselineRow:
    """The row of an unmutated build in the results."""
    return BaselineRow(
        model=baseline.pair.subject,
        device=baseline.pair.device,
        digest=baseline.digest,
        labels=baseline.labels,
        accuracy=baseline.accuracy,
        build_seconds=baseline.build_seconds,
        run_seconds=sum(baseline.run_seconds),
        noise_floor=baseline.noise_floor,
        same_code=baseline.same_code,
        golden=None if baseline.golden is None else baseline.golden.stored,
        golden_reason=baseline.golden_reason,
    )

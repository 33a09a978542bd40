"""What differs between the devices of a campaign, as its results tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tvm_mutate.campaign.discrepancies import Unmutated, find_agreements, find_discrepancies
from tvm_mutate.campaign.journal import Journal
from tvm_mutate.campaign.record import Baseline, digest_of_outputs
from tvm_mutate.campaign.subject import Pair
from tvm_mutate.campaign.undefined import Place, with_behaviours
from tvm_mutate.results import AgreementRow, DiscrepancyRow, MutantRow, UndefinedRow


@dataclass(frozen=True)
class Between:
    """Rows of the results: how far unmutated builds agree, and mutants differ, and which are undefined."""

    agreements: tuple[AgreementRow, ...] = ()
    discrepancies: tuple[DiscrepancyRow, ...] = ()
    undefined: tuple[UndefinedRow, ...] = ()

    def examined(self, rows: Sequence[MutantRow], examined: Mapping[Place, UndefinedRow]) -> Between:
        """The same with the behaviour of discrepant mutants, of which ``rows`` are all."""
        places = dict.fromkeys((row.model, row.id) for row in rows)
        return replace(
            self,
            discrepancies=tuple(with_behaviours(self.discrepancies, rows, examined)),
            undefined=tuple(examined[place] for place in places if place in examined),
        )


def compare_devices(
    rows: Sequence[MutantRow], baselines: Mapping[Pair, Baseline], devices: Sequence[str], journal: Journal
) -> Between:
    """How far unmutated builds agree and mutants differ between devices; scores come from the journal."""
    builds = {
        (pair.subject, pair.device): Unmutated(baseline.labels, np.load(baseline.outputs), baseline.noise_floor)
        for pair, baseline in baselines.items()
    }
    golden = {digest_of_outputs(build.scores): build.scores for build in builds.values() if build.scores is not None}

    def scores_of(row: MutantRow) -> np.ndarray | None:
        digest = row.outputs_digest
        if digest is None:
            return None
        return golden[digest] if digest in golden else journal.scores(digest)

    discrepancies = find_discrepancies(rows, builds, devices, scores_of)
    return Between(tuple(find_agreements(builds, devices)), tuple(discrepancies))

"""Baselines, and the row of results that the evaluation of a mutant becomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import msgspec
import numpy as np

from tvm_mutate.campaign.plan import Pair
from tvm_mutate.device import Ending, EndingKind
from tvm_mutate.evaluate import COMPILING, RUNNING, Evaluation, Prepared, PreparedSession, Progress
from tvm_mutate.mutant import Catalogue, Category, Mutant
from tvm_mutate.oracle import (
    Comparison,
    Oracle,
    Outcome,
    Verdict,
    check_oracles,
    compare,
    judge,
    largest_differences,
    latency_difference,
    parse_oracle,
    usual_oracle,
)
from tvm_mutate.results import BaselineRow, EvaluationPath, MutantRow, NoticedRow
from tvm_mutate.samples import Samples

# The fields of a comparison that a row repeats.
_FIGURES = [
    each.name
    for each in fields(Comparison)
    if each.name in MutantRow.__struct_fields__ and each.name not in ("inputs", "noticed")
]
_NOT_APPLIED = "not applied: no site was changed"


@dataclass(frozen=True)
class Baseline:
    """The unmutated build of one pair, built and run twice.

    ``outputs`` is the folder of the golden outputs; ``labels`` are None if the model is no classifier. ``noise_floor``
    is the largest absolute difference between two runs: 0.0 if the device repeats itself bitwise. ``same_code`` says
    whether the second build had the same code or, kernel by kernel, gave the same bits. ``golden`` is the input of
    evaluation by content; if it is None, ``golden_reason`` says why. ``oracles`` are texts; the first gives verdicts.
    """

    pair: Pair
    digest: str
    outputs: str
    labels: tuple[int, ...] | None
    accuracy: float | None
    build_seconds: float
    run_seconds: tuple[float, ...]
    noise_floor: float
    same_code: bool
    golden: Prepared | PreparedSession | None = None
    golden_reason: str = ""
    oracles: tuple[str, ...] = ("bitwise",)

    @property
    def golden_outputs(self) -> Samples:
        """The outputs of the unmutated build, mapped into memory."""
        return Samples.load(self.outputs)

    def judged_by(self, wanted: Sequence[str]) -> Baseline:
        """The baseline with the oracles of a campaign; without any the kind of the golden outputs decides.

        Raises UsageError for an oracle that cannot judge the golden outputs.
        """
        golden = self.golden_outputs
        oracles = [parse_oracle(text) for text in wanted] or [usual_oracle(golden)]
        check_oracles(oracles, golden)
        return replace(self, oracles=tuple(map(str, oracles)))

    @property
    def seconds(self) -> float:
        """The time of one build and one run over all inputs."""
        return self.build_seconds + sum(self.run_seconds)

    def row(self) -> BaselineRow:
        """The row of the unmutated build in the results."""
        return BaselineRow(
            model=self.pair.subject,
            device=self.pair.device,
            digest=self.digest,
            labels=self.labels,
            accuracy=self.accuracy,
            build_seconds=self.build_seconds,
            run_seconds=sum(self.run_seconds),
            noise_floor=self.noise_floor,
            same_code=self.same_code,
            golden=None if self.golden is None else self.golden.stored,
            golden_reason=self.golden_reason,
            oracles=self.oracles,
        )


def mutant_row(
    mutant: Mutant,
    baseline: Baseline,
    ending: Ending,
    right_labels: np.ndarray | None,
    oracles: Sequence[Oracle],
    catalogue: Catalogue,
    path: EvaluationPath = EvaluationPath.REBUILD,
    path_reason: str = "",
) -> MutantRow:
    """The row of one mutant on one device; the first oracle gives the verdict.

    ``path_reason`` says why content evaluation gave way to a rebuild.
    """
    evaluation: Evaluation | None = ending.value
    known: Evaluation | Progress | None = evaluation or ending.note
    applied = known.applied if known else ()
    sites = sum(len(each.sites) for each in applied if each.changed)
    comparison = _comparison(evaluation, baseline, right_labels, oracles) if evaluation else None
    judgement = _judgement(ending, evaluation, baseline, comparison, oracles[0], bool(sites))
    mapping = comparison.to_mapping() if comparison else {}
    figures: dict[str, Any] = {
        name: tuple(value) if isinstance(value := mapping.get(name), list) else value for name in _FIGURES
    }
    by_content = evaluation is not None and evaluation.kernel_runs is not None
    # The time of a whole run is known only if the whole model ran.
    seconds = evaluation.run_seconds if evaluation and not by_content else ()
    outputs = None
    if evaluation is not None:
        outputs = baseline.golden_outputs if evaluation.outputs is None else evaluation.outputs
    kernel_seconds = evaluation.kernel_seconds if evaluation else None
    return MutantRow(
        **_identity(mutant, baseline, catalogue),
        **judgement,
        sites=sites,
        functions=sum(each.changed for each in applied),
        inputs=comparison.inputs if comparison else len(baseline.run_seconds),
        build_seconds=round(evaluation.build_seconds if evaluation else ending.seconds, 4),
        run_seconds=round(sum(evaluation.run_seconds), 4) if evaluation else None,
        evaluation=path,
        evaluation_reason=path_reason,
        kernel_runs=evaluation.kernel_runs if evaluation else None,
        kernel_seconds=None if kernel_seconds is None else round(kernel_seconds, 4),
        masked_by=tuple(evaluation.masked_by) if evaluation and by_content else None,
        undefined=None if known is None or known.undefined is None else tuple(known.undefined),
        code_digest=(evaluation.digest or None) if evaluation else None,
        outputs_digest=None if outputs is None else outputs.digest(),
        noticed=tuple(
            NoticedRow(oracle=each.oracle, inputs=len(each.noticed), number=each.number)
            for each in (comparison.noticed if comparison else ())
        ),
        proof=judgement["reason"] if judgement["verdict"] is Verdict.EQUIVALENT else None,
        # Only the campaign, which knows all mutants, fills these fields.
        duplicate_of=None,
        place_digest=None,
        carried=False,
        latency=latency_difference(baseline.run_seconds, seconds) if seconds else None,
        **figures,
    )


def lost_row(mutant: Mutant, baseline: Baseline, kind: EndingKind, reason: str, catalogue: Catalogue) -> MutantRow:
    """The row of a mutant that was not evaluated, because the worker died or the device was lost."""
    ending = Ending(kind, RUNNING, 0.0, reason=reason)
    oracles = [parse_oracle(text) for text in baseline.oracles]
    return mutant_row(mutant, baseline, ending, None, oracles, catalogue)


def _identity(mutant: Mutant, baseline: Baseline, catalogue: Catalogue) -> dict[str, Any]:
    # One compiler fault makes the whole mutant a compiler fault, which must not count in the score of other categories.
    chosen = min(mutant.mutations, key=lambda each: catalogue[each.operator].category is not Category.COMPILER_PASSES)
    operator = catalogue[chosen.operator]
    return {
        "id": str(mutant),
        "model": baseline.pair.subject,
        "operator": "+".join(mutation.operator for mutation in mutant.mutations),
        "category": operator.category,
        "slot": operator.slot_of(operator.read_parameters(chosen)),
        "device": baseline.pair.device,
    }


def _comparison(
    evaluation: Evaluation, baseline: Baseline, right_labels: np.ndarray | None, oracles: Sequence[Oracle]
) -> Comparison:
    """The comparison with the golden outputs of the samples that ran; the same code has golden outputs."""
    golden = baseline.golden_outputs
    if evaluation.outputs is None:
        return compare(golden, golden, right_labels, oracles)
    ran = len(evaluation.outputs)
    right = None if right_labels is None else right_labels[: len(right_labels) * ran // len(golden)]
    golden = golden.first(ran)
    return compare(golden, _without_noise(golden, evaluation.outputs, baseline.noise_floor), right, oracles)


def _without_noise(golden: Samples, outputs: Samples, floor: float) -> Samples:
    """The outputs, in which golden values replace the samples that differ by the noise of the device only."""
    if floor == 0.0 or not golden.has_types_of(outputs):
        return outputs
    within = largest_differences(golden, outputs) <= floor
    return Samples(
        tuple(
            np.where(within.reshape(-1, *[1] * (one.ndim - 1)), one, other)
            for one, other in zip(golden.arrays, outputs.arrays, strict=True)
        )
    )


def _judgement(
    ending: Ending,
    evaluation: Evaluation | None,
    baseline: Baseline,
    comparison: Comparison | None,
    oracle: Oracle,
    applied: bool,
) -> dict[str, Any]:
    outcome = _outcome(ending)
    known = evaluation is not None or ending.note is not None  # nothing is known if the worker itself died
    if known and not applied and ending.stage != COMPILING:  # a compilation may apply more sites later
        return {"outcome": outcome, "verdict": None, "rung": None, "reason": _NOT_APPLIED}
    judgement = judge(
        outcome,
        applied=True,
        code_differs=evaluation.digest != baseline.digest if evaluation else None,
        proof=evaluation.proof if evaluation else None,
        reached=evaluation.reached if evaluation else None,
        infected=evaluation.infected if evaluation else None,
        comparison=comparison,
        oracle=oracle,
    )
    reason = f"{judgement.reason}: {ending.reason}" if ending.reason else judgement.reason
    return {"outcome": outcome, "verdict": judgement.verdict, "rung": judgement.rung, "reason": reason}


def _outcome(ending: Ending) -> Outcome:
    """The outcome of an evaluation; a compiler that raises or dies is a compile error."""
    if ending.kind == EndingKind.FINISHED:
        return Outcome.COMPLETED
    if ending.kind == EndingKind.LOST:
        return Outcome.DEVICE_LOST
    if ending.kind == EndingKind.TIMED_OUT:
        return Outcome.TIMEOUT
    if ending.stage == COMPILING:
        return Outcome.COMPILE_ERROR
    return Outcome.CRASH if ending.kind == EndingKind.DIED else Outcome.EXCEPTION


def mark_duplicates(rows: Iterable[MutantRow]) -> list[MutantRow]:
    """The rows, in which ``duplicate_of`` names the first row with the same code on the same model and device.

    Only rows evaluated by content are compared: a rebuilt model names its kernels by their position.
    """
    first: dict[tuple[str, str, str], str] = {}
    marked = []
    for row in rows:
        of = None
        compared = row.evaluation is EvaluationPath.CONTENT and row.outcome is Outcome.COMPLETED
        if compared and row.verdict is not Verdict.EQUIVALENT and row.code_digest is not None:
            earliest = first.setdefault((row.model, row.device, row.code_digest), row.id)
            of = None if earliest == row.id else earliest
        marked.append(msgspec.structs.replace(row, duplicate_of=of))
    return marked

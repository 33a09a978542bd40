"""Baselines, and the row of results that the evaluation of a mutant becomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import msgspec
import numpy as np
import xxhash

from tvm_mutate.campaign.plan import Pair
from tvm_mutate.device import Ending, EndingKind
from tvm_mutate.evaluate import COMPILING, RUNNING, Evaluation, Prepared, PreparedSession, Progress
from tvm_mutate.mutant import Catalogue, Category, Mutant
from tvm_mutate.oracle import Comparison, Oracle, Outcome, Verdict, compare, judge, latency_difference
from tvm_mutate.results import BaselineRow, EvaluationPath, MutantRow

# The fields of a comparison that a row repeats.
_FIGURES = [
    each.name for each in fields(Comparison) if each.name in MutantRow.__struct_fields__ and each.name != "inputs"
]
_NOT_APPLIED = "not applied: no site was changed"


@dataclass(frozen=True)
class Baseline:
    """The unmutated build of one pair, built and run twice.

    ``outputs`` is the path of the golden scores, a ``.npy`` file of shape [inputs, classes]. ``noise_floor`` is the
    largest absolute difference between two runs: 0.0 if the device repeats itself bitwise. ``same_code`` says whether
    the second build had the same code or, kernel by kernel, gave the same bits. ``golden`` is the input of evaluation
    by content; if it is None, ``golden_reason`` says why.
    """

    pair: Pair
    digest: str
    outputs: str
    labels: tuple[int, ...]
    accuracy: float | None
    build_seconds: float
    run_seconds: tuple[float, ...]
    noise_floor: float
    same_code: bool
    golden: Prepared | PreparedSession | None = None
    golden_reason: str = ""

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
        )


def mutant_row(
    mutant: Mutant,
    baseline: Baseline,
    ending: Ending,
    right_labels: np.ndarray | None,
    oracle: Oracle,
    catalogue: Catalogue,
    path: EvaluationPath = EvaluationPath.REBUILD,
    path_reason: str = "",
) -> MutantRow:
    """The row of one mutant on one device; ``path_reason`` says why content evaluation gave way to a rebuild."""
    evaluation: Evaluation | None = ending.value
    known: Evaluation | Progress | None = evaluation or ending.note
    applied = known.applied if known else ()
    sites = sum(len(each.sites) for each in applied if each.changed)
    comparison = _comparison(evaluation, baseline, right_labels, oracle) if evaluation else None
    judgement = _judgement(ending, evaluation, baseline, comparison, oracle, bool(sites))
    mapping = comparison.to_mapping() if comparison else {}
    figures: dict[str, Any] = {
        name: tuple(value) if isinstance(value := mapping.get(name), list) else value for name in _FIGURES
    }
    by_content = evaluation is not None and evaluation.kernel_runs is not None
    # The time of a whole run is known only if the whole model ran.
    seconds = evaluation.run_seconds if evaluation and not by_content else ()
    outputs = None
    if evaluation is not None:
        outputs = np.load(baseline.outputs) if evaluation.outputs is None else evaluation.outputs
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
        outputs_digest=None if outputs is None else digest_of_outputs(outputs),
        proof=judgement["reason"] if judgement["verdict"] is Verdict.EQUIVALENT else None,
        # Only the campaign, which knows all mutants, fills these fields.
        duplicate_of=None,
        place_digest=None,
        carried=False,
        latency=latency_difference(baseline.run_seconds, seconds) if seconds else None,
        **figures,
    )


def lost_row(
    mutant: Mutant, baseline: Baseline, kind: EndingKind, reason: str, oracle: Oracle, catalogue: Catalogue
) -> MutantRow:
    """The row of a mutant that was not evaluated, because the worker died or the device was lost."""
    ending = Ending(kind, RUNNING, 0.0, reason=reason)
    return mutant_row(mutant, baseline, ending, None, oracle, catalogue)


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
    evaluation: Evaluation, baseline: Baseline, right_labels: np.ndarray | None, oracle: Oracle
) -> Comparison:
    """The comparison with the golden scores of the inputs that ran; a mutant with the same code has golden scores."""
    golden = np.load(baseline.outputs)
    if evaluation.outputs is None:
        return compare(golden, golden, right_labels, [oracle])
    golden = golden[: len(evaluation.outputs)]
    right = None if right_labels is None else right_labels[: len(golden)]
    return compare(golden, _without_noise(golden, evaluation.outputs, baseline.noise_floor), right, [oracle])


def _without_noise(golden: np.ndarray, outputs: np.ndarray, floor: float) -> np.ndarray:
    """The outputs, in which golden rows replace the rows that differ by the noise of the device only."""
    if floor == 0.0:
        return outputs
    with np.errstate(invalid="ignore"):
        within = (np.abs(outputs - golden) <= floor).all(axis=1)
    return np.where(within[:, np.newaxis], golden, outputs)


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


def digest_of_outputs(outputs: np.ndarray) -> str:
    """128 bits of xxHash of scores: equal for equal bits."""
    return str(xxhash.xxh3_128_hexdigest(outputs.tobytes()))


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

"""Records of a campaign: the baseline of a pair, and the row that a mutant's evaluation becomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import xxhash

from tvm_mutate.campaign.subject import Pair
from tvm_mutate.device import Ending, EndingKind
from tvm_mutate.evaluate import COMPILING, RUNNING, Evaluation, Prepared, PreparedSession, Progress
from tvm_mutate.mutant import Catalogue, Category, Mutant
from tvm_mutate.oracle import Comparison, Oracle, Outcome, Verdict, compare, judge, latency_difference
from tvm_mutate.results import EvaluationPath, MutantRow

_FIGURES = (
    "bitwise_equal",
    "changed_labels",
    "dissimilarity",
    "accuracy",
    "golden_accuracy",
    "top_k_overlap",
    "max_abs_diff",
    "max_rel_diff",
    "nan_count",
    "inf_count",
    "kendall_tau",
    "rank_biased_overlap",
    "same_label_for_every_input",
    "labels",
)


@dataclass(frozen=True)
class Baseline:
    """The unmutated build of one pair, built and run twice.

    ``outputs`` is the path of the golden scores, a ``.npy`` file of shape [inputs, classes]. ``noise_floor`` is the
    largest absolute difference between two runs: 0.0 on a device that repeats itself bitwise. ``same_code`` says
    whether the second build had the code of the first, or, kernel by kernel, gave the same bits. ``golden`` is what
    content-addressed evaluation needs; where there is nothing, ``golden_reason`` says why.
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
    """The row of one mutant on one device; ``path_reason`` says why it was rebuilt although kernels should be run."""
    run: Evaluation | None = ending.value
    told: Evaluation | Progress | None = run or ending.note
    applied = told.applied if told else ()
    sites = sum(len(each.sites) for each in applied if each.changed)
    comparison = _comparison(run, baseline, right_labels, oracle) if run else None
    found = _judgement(ending, run, baseline, comparison, oracle, bool(sites))
    mapping = comparison.to_mapping() if comparison else {}
    figures: dict[str, Any] = {
        name: tuple(value) if isinstance(value := mapping.get(name), list) else value for name in _FIGURES
    }
    by_content = run is not None and run.kernel_runs is not None
    # The time of a whole run is known only if the whole model ran.
    seconds = run.run_seconds if run and not by_content else ()
    outputs = None if run is None else np.load(baseline.outputs) if run.outputs is None else run.outputs
    return MutantRow(
        **_identity(mutant, baseline, catalogue),
        **found,
        sites=sites,
        functions=sum(each.changed for each in applied),
        inputs=comparison.inputs if comparison else len(baseline.run_seconds),
        build_seconds=round(run.build_seconds if run else ending.seconds, 4),
        run_seconds=round(sum(run.run_seconds), 4) if run else None,
        evaluation=path,
        evaluation_reason=path_reason,
        kernel_runs=run.kernel_runs if run else None,
        kernel_seconds=round(run.kernel_seconds, 4) if run and run.kernel_seconds is not None else None,
        masked_by=tuple(run.masked_by) if run and by_content else None,
        undefined=None if told is None or told.undefined is None else tuple(told.undefined),
        code_digest=(run.digest or None) if run else None,
        outputs_digest=None if outputs is None else digest_of_outputs(outputs),
        proof=found["reason"] if found["verdict"] is Verdict.EQUIVALENT else None,
        # Only the campaign, which knows all mutants, fills these in.
        duplicate_of=None,
        place_digest=None,
        carried=False,
        latency=latency_difference(baseline.run_seconds, seconds) if seconds else None,
        **figures,
    )


def lost_row(
    mutant: Mutant, baseline: Baseline, kind: EndingKind, reason: str, oracle: Oracle, catalogue: Catalogue
) -> MutantRow:
    """The row of a mutant of which nothing is known: the worker process itself ``died``, or the device was lost."""
    ending = Ending(kind, RUNNING, 0.0, reason=reason)
    return mutant_row(mutant, baseline, ending, None, oracle, catalogue)


def _identity(mutant: Mutant, baseline: Baseline, catalogue: Catalogue) -> dict[str, Any]:
    # A fault of the compiler makes the mutant one, whatever else it has: it must not get into another category's score.
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


def _comparison(run: Evaluation, baseline: Baseline, right_labels: np.ndarray | None, oracle: Oracle) -> Comparison:
    """The comparison of a run with golden, over the inputs that ran; the same code has golden's outputs."""
    golden = np.load(baseline.outputs)
    if run.outputs is None:
        return compare(golden, golden, right_labels, [oracle])
    golden = golden[: len(run.outputs)]
    right = None if right_labels is None else right_labels[: len(golden)]
    return compare(golden, _above_the_noise(golden, run.outputs, baseline.noise_floor), right, [oracle])


def _above_the_noise(golden: np.ndarray, outputs: np.ndarray, floor: float) -> np.ndarray:
    """The outputs, with rows that are within the device's own noise replaced by the golden ones."""
    if floor == 0.0:
        return outputs
    with np.errstate(invalid="ignore"):
        within = (np.abs(outputs - golden) <= floor).all(axis=1)
    return np.where(within[:, np.newaxis], golden, outputs)


def _judgement(
    ending: Ending,
    run: Evaluation | None,
    baseline: Baseline,
    comparison: Comparison | None,
    oracle: Oracle,
    applied: bool,
) -> dict[str, Any]:
    outcome = _outcome(ending)
    code_differs = run.digest != baseline.digest if run else None
    known = run is not None or ending.note is not None  # not where the worker itself died
    if known and not applied and ending.stage != COMPILING:  # while compiling, more may yet be applied
        return {"outcome": outcome, "verdict": None, "rung": None, "reason": "not applied: no site was changed"}
    judgement = judge(
        outcome,
        applied=True,
        code_differs=code_differs,
        proof=run.proof if run else None,
        reached=run.reached if run else None,
        infected=run.infected if run else None,
        comparison=comparison,
        oracle=oracle,
    )
    reason = f"{judgement.reason}: {ending.reason}" if ending.reason else judgement.reason
    return {"outcome": outcome, "verdict": judgement.verdict, "rung": judgement.rung, "reason": reason}


def digest_of_outputs(outputs: np.ndarray) -> str:
    """128 bits of xxHash of scores: equal for equal bits."""
    return str(xxhash.xxh3_128_hexdigest(outputs.tobytes()))


def _outcome(ending: Ending) -> Outcome:
    """A compiler that raises or dies is a compile error: the mutant never came to life."""
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
    """The rows with ``duplicate_of`` set: the first row of the model and device with the same code, if it is another.

    The order of the rows alone decides which row is first. Only evaluation by content tells code apart well enough:
    a rebuilt model names its kernels by their place.
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

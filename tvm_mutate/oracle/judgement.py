"""The verdict on a mutant, from the facts about its evaluation."""

from __future__ import annotations

from typing import NamedTuple

from tvm_mutate.oracle.comparison import Comparison
from tvm_mutate.oracle.oracle import Oracle
from tvm_mutate.oracle.vocabulary import Outcome, Rung, Verdict


class Judgement(NamedTuple):
    """The verdict on a mutant (None: no verdict), the highest rung that its fault is known to have reached, and why."""

    verdict: Verdict | None
    rung: Rung
    reason: str


def judge(
    outcome: Outcome,
    *,
    applied: bool,
    code_differs: bool | None,
    proof: str | None = None,
    reached: bool | None = None,
    infected: bool | None = None,
    comparison: Comparison | None = None,
    oracle: Oracle | None = None,
) -> Judgement:
    """The judgement of one mutant on one device: the first row of this table that fits.

    ================================================ =========== ====================================
    facts                                             verdict     rung
    ================================================ =========== ====================================
    not ``applied``                                   ValueError
    ``proof`` given: it computes what golden does     equivalent  applied
    compile error                                     None        applied
    not ``code_differs``: the same generated code     equivalent  compiled
    not ``reached`` by any input                      no coverage at most code differs
    device lost                                       None        as far as known
    exception, crash or timeout                       killed      reached, or further if known
    completed, ``oracle`` noticed an input            killed      as far as known
    completed, ``oracle`` noticed nothing             survived    as far as known
    ================================================ =========== ====================================

    "As far as known" is the first of these that holds: label changed, if any label did; propagated, if any output is
    not bitwise the golden one; infected or reached, if known; code differs; compiled, if ``code_differs`` is None.

    A mutant that was not applied equals the golden program, and must not count as survived. A mutant that does not
    compile tests nothing, and has no verdict (PIT calls it non-viable); the same holds if the device was lost. Proofs
    come before observations: on a device that is not bitwise repeatable a mutant with the golden code can look
    killed. ``proof`` is a sentence and becomes the reason; the mutant was not built, so its rung is applied.

    ``comparison`` and ``oracle`` are required for a completed mutant that no earlier row settles, and the comparison
    must have asked that oracle; ValueError otherwise.
    """
    if not applied:
        raise ValueError("a mutant that was not applied cannot be judged: its program is the golden one")
    if proof is not None:
        return Judgement(Verdict.EQUIVALENT, Rung.APPLIED, proof)
    if outcome is Outcome.COMPILE_ERROR:
        return Judgement(None, Rung.APPLIED, "compile error")
    if code_differs is False:
        return Judgement(Verdict.EQUIVALENT, Rung.COMPILED, "same generated code")
    if reached is False:
        return Judgement(Verdict.NO_COVERAGE, _rung(code_differs, None, None, None), "reached by no input")
    rung = _rung(code_differs, reached, infected, comparison)
    if outcome is Outcome.DEVICE_LOST:
        return Judgement(None, rung, "device lost")
    if outcome is not Outcome.COMPLETED:
        return Judgement(Verdict.KILLED, max(rung, Rung.REACHED), str(outcome))
    if comparison is None or oracle is None:
        raise ValueError("a mutant that completed cannot be judged without a comparison and an oracle")
    if not comparison.has_golden_shapes:
        return Judgement(Verdict.KILLED, rung, "the outputs have other shapes or dtypes")
    noticed = len(comparison.noticed_by(oracle))
    if noticed:
        return Judgement(Verdict.KILLED, rung, f"{oracle} noticed {noticed} of {comparison.inputs} inputs")
    return Judgement(Verdict.SURVIVED, rung, f"{oracle} noticed none of {comparison.inputs} inputs")


def _rung(
    code_differs: bool | None, reached: bool | None, infected: bool | None, comparison: Comparison | None
) -> Rung:
    if comparison is not None and comparison.changed_labels:
        return Rung.LABEL_CHANGED
    if comparison is not None and comparison.bitwise_equal < comparison.inputs:
        return Rung.PROPAGATED
    if infected:
        return Rung.INFECTED
    if reached:
        return Rung.REACHED
    return Rung.CODE_DIFFERS if code_differs else Rung.COMPILED

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from tvm_mutate.oracle import Outcome, Rung, Verdict, compare, judge, parse_oracle

GOLDEN = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
TOP_ONE, BITWISE = BOTH = [parse_oracle("top-1"), parse_oracle("bitwise")]
SAME = compare(GOLDEN, GOLDEN.copy(), oracles=BOTH)
NUDGED = compare(GOLDEN, GOLDEN + np.array([[0.0, 0.25, 0.0], [0.0, 0.0, 0.0]]), oracles=BOTH)
RELABELLED = compare(GOLDEN, GOLDEN[::-1], oracles=BOTH)
AT_RUN_TIME = [Outcome.EXCEPTION, Outcome.CRASH, Outcome.TIMEOUT]


@pytest.mark.parametrize(
    ("known", "comparison", "oracle", "verdict", "rung", "reason"),
    [
        ({}, SAME, TOP_ONE, "survived", "code differs", "top-1 noticed none of 2 inputs"),
        ({"reached": True}, SAME, TOP_ONE, "survived", "reached", "top-1 noticed none of 2 inputs"),
        ({"reached": True, "infected": False}, SAME, TOP_ONE, "survived", "reached", None),
        ({"reached": True, "infected": True}, SAME, BITWISE, "survived", "infected", None),
        ({"infected": True}, NUDGED, TOP_ONE, "survived", "propagated", None),
        ({}, NUDGED, BITWISE, "killed", "propagated", "bitwise noticed 1 of 2 inputs"),
        ({"reached": True}, RELABELLED, TOP_ONE, "killed", "label changed", "top-1 noticed 2 of 2 inputs"),
        ({"code_differs": None}, SAME, TOP_ONE, "survived", "compiled", None),
        ({"code_differs": False}, None, None, "equivalent", "compiled", "same generated code"),
        ({"code_differs": False}, SAME, TOP_ONE, "equivalent", "compiled", "same generated code"),
        ({"code_differs": False}, RELABELLED, TOP_ONE, "equivalent", "compiled", "same generated code"),
        ({"reached": False}, None, None, "no coverage", "code differs", "reached by no input"),
        ({"reached": False}, SAME, TOP_ONE, "no coverage", "code differs", "reached by no input"),
        ({"reached": False, "code_differs": None}, SAME, TOP_ONE, "no coverage", "compiled", None),
        ({"reached": False, "code_differs": False}, None, None, "equivalent", "compiled", None),
    ],
)
def test_a_mutant_that_completed_is_judged_by_the_table(known, comparison, oracle, verdict, rung, reason):
    facts = {"applied": True, "code_differs": True, **known}
    found = judge(Outcome.COMPLETED, comparison=comparison, oracle=oracle, **facts)
    assert (str(found.verdict), str(found.rung)) == (verdict, rung)
    assert reason in (None, found.reason)


def test_the_rung_is_label_changed_even_if_the_oracle_notices_nothing():
    lenient = parse_oracle("tolerance{atol=100}")
    comparison = compare(GOLDEN, GOLDEN[::-1], oracles=[lenient])
    found = judge(Outcome.COMPLETED, applied=True, code_differs=True, comparison=comparison, oracle=lenient)
    assert (found.verdict, found.rung) == (Verdict.SURVIVED, Rung.LABEL_CHANGED)


def test_outputs_of_another_shape_or_dtype_kill_whatever_the_oracle():
    lenient = parse_oracle("tolerance{atol=100}")
    for other in (GOLDEN[:, :2], GOLDEN.astype(np.float32)):
        comparison = compare(GOLDEN, other, oracles=[lenient])
        found = judge(Outcome.COMPLETED, applied=True, code_differs=True, comparison=comparison, oracle=lenient)
        assert found == (Verdict.KILLED, Rung.PROPAGATED, "the outputs have other shapes or dtypes")


@pytest.mark.parametrize("outcome", AT_RUN_TIME)
def test_a_program_that_ends_badly_is_killed_and_says_how(outcome: Outcome):
    assert judge(outcome, applied=True, code_differs=True) == (Verdict.KILLED, Rung.REACHED, outcome.value)
    assert judge(outcome, applied=True, code_differs=None).rung is Rung.REACHED
    assert judge(outcome, applied=True, code_differs=True, infected=True).rung is Rung.INFECTED


@pytest.mark.parametrize("outcome", [*AT_RUN_TIME, Outcome.DEVICE_LOST])
def test_a_proof_comes_before_how_the_run_ended(outcome: Outcome):
    assert judge(outcome, applied=True, code_differs=False).verdict is Verdict.EQUIVALENT
    assert judge(outcome, applied=True, code_differs=True, reached=False).verdict is Verdict.NO_COVERAGE


def test_a_mutant_that_does_not_compile_has_no_verdict():
    for code_differs in (True, False, None):
        found = judge(Outcome.COMPILE_ERROR, applied=True, code_differs=code_differs)
        assert found == (None, Rung.APPLIED, "compile error")


def test_a_lost_device_gives_no_verdict_but_the_rung_that_is_known():
    assert judge(Outcome.DEVICE_LOST, applied=True, code_differs=True) == (
        None,
        Rung.CODE_DIFFERS,
        "device lost",
    )
    assert judge(Outcome.DEVICE_LOST, applied=True, code_differs=True, reached=True).rung is Rung.REACHED


@pytest.mark.parametrize("outcome", Outcome)
def test_a_static_proof_comes_before_all_else_and_is_the_reason(outcome: Outcome):
    proof = "i <= 8 always equals i < 8"
    expected = (Verdict.EQUIVALENT, Rung.APPLIED, proof)
    assert judge(outcome, applied=True, code_differs=None, proof=proof) == expected
    facts = {"reached": True, "infected": True, "comparison": RELABELLED, "oracle": TOP_ONE}
    assert judge(outcome, applied=True, code_differs=True, proof=proof, **facts) == expected
    assert judge(outcome, applied=True, code_differs=False, proof=proof, reached=False) == expected
    with pytest.raises(ValueError, match="not applied"):
        judge(outcome, applied=False, code_differs=None, proof=proof)


@pytest.mark.parametrize("outcome", Outcome)
def test_a_mutant_that_was_not_applied_is_never_judged(outcome: Outcome):
    message = r"^a mutant that was not applied cannot be judged: its program is the golden one$"
    with pytest.raises(ValueError, match=message):
        judge(outcome, applied=False, code_differs=True, comparison=SAME, oracle=TOP_ONE)


@pytest.mark.parametrize(("comparison", "oracle"), [(None, TOP_ONE), (SAME, None), (None, None)])
def test_a_mutant_that_completed_needs_a_comparison_and_an_oracle(comparison, oracle):
    message = r"^a mutant that completed cannot be judged without a comparison and an oracle$"
    with pytest.raises(ValueError, match=message):
        judge(Outcome.COMPLETED, applied=True, code_differs=True, comparison=comparison, oracle=oracle)


def test_an_oracle_that_the_comparison_did_not_ask_raises_an_error():
    other = parse_oracle("top-k{k=1}")
    with pytest.raises(ValueError, match="did not ask"):
        judge(Outcome.COMPLETED, applied=True, code_differs=True, comparison=RELABELLED, oracle=other)


def test_rungs_are_in_the_order_in_which_a_fault_climbs_them():
    texts = ["applied", "compiled", "code differs", "reached", "infected", "propagated", "label changed"]
    assert [str(rung) for rung in sorted(Rung)] == texts
    assert [f"{rung:>13}" for rung in Rung] == [text.rjust(13) for text in texts]
    assert [Rung(text) for text in texts] == list(Rung)
    for low, high in itertools.combinations(Rung, 2):
        assert low < high and low <= high and high > low and high >= low
        assert not (high < low or high <= low or low > high or low >= high)
    for rung in Rung:
        assert rung <= rung and rung >= rung and not rung < rung and not rung > rung


def test_a_text_that_names_no_rung_is_refused():
    with pytest.raises(ValueError, match="'killed' is not a valid Rung"):
        Rung("killed")


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (Outcome, ["completed", "compile error", "exception", "crash", "timeout", "device lost"]),
        (Verdict, ["killed", "survived", "equivalent", "no coverage"]),
    ],
)
def test_the_members_of_the_enums_are_their_text(words, texts: list[str]):
    assert [str(word) for word in words] == texts
    assert [f"{word:>13}" for word in words] == [text.rjust(13) for text in texts]
    assert json.loads(json.dumps(list(words))) == texts
    assert [words(text) for text in texts] == list(words)

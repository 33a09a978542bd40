"""What became of faults in the compiler's passes, on rows written by hand."""

from __future__ import annotations

from collections import Counter

from measuring.pipeline import (
    COMPILE_ERROR,
    COMPILER_DIED,
    OTHER_BITS,
    OTHER_LABELS,
    RUN_ENDED,
    SAME_BITS,
    SAME_CODE,
    by_fault,
    class_of,
    counts,
    loudest,
    told,
)

SKIP, SWAP = "pipeline.skip-pass{pass=A}@*#*", "pipeline.swap-passes{pass=A}@*#*"


def row(mutant: str = SKIP, device: str = "llvm", **more: object) -> dict[str, object]:
    plain = {"outcome": "completed", "verdict": "survived", "reason": "", "changed_labels": 0}
    return {"id": mutant, "device": device, **plain, "bitwise_equal": 4, "inputs": 4, **more}


def failed(reason: str, outcome: str = "compile error") -> dict[str, object]:
    return row(outcome=outcome, reason=reason, verdict=None, changed_labels=None, bitwise_equal=None)


def test_each_ending_has_its_class():
    assert class_of(row(verdict="equivalent")) == SAME_CODE
    assert class_of(row()) == SAME_BITS
    assert class_of(row(bitwise_equal=3)) == OTHER_BITS
    assert class_of(row(bitwise_equal=3, changed_labels=1, verdict="killed")) == OTHER_LABELS
    assert class_of(failed("crash: SIGSEGV", outcome="crash")) == RUN_ENDED
    assert class_of(failed("compile error: InternalError: no")) == COMPILE_ERROR
    assert class_of(failed("compile error: SIGABRT")) == COMPILER_DIED


def test_a_fault_counts_where_it_was_easiest_to_notice():
    faults = by_fault([row(), row(bitwise_equal=0), row(verdict="equivalent"), row(SWAP, "c", verdict="equivalent")])
    assert faults == {
        (SKIP, "llvm"): Counter({SAME_BITS: 1, OTHER_BITS: 1, SAME_CODE: 1}),
        (SWAP, "c"): Counter({SAME_CODE: 1}),
    }
    assert loudest(faults[SKIP, "llvm"]) == OTHER_BITS
    assert counts(faults) == {
        ("pipeline.skip-pass", "llvm"): Counter({OTHER_BITS: 1}),
        ("pipeline.swap-passes", "c"): Counter({SAME_CODE: 1}),
    }


def test_a_fault_is_told_with_its_devices_together_where_they_agree():
    same = Counter({SAME_CODE: 2, SAME_BITS: 1})
    assert told(SKIP, {"llvm": same, "c": same}) == f"{SKIP}: llvm and c: 2 x same code, 1 x other code, same bits"
    assert told(SKIP, {"llvm": same, "c": Counter({RUN_ENDED: 3})}).endswith("; c: run ended early")

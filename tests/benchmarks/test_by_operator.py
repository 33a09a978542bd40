"""Counts by operator, over rows written by hand."""

from __future__ import annotations

import pytest
from measuring.by_operator import always_killed, by_operator, nearly_always_equivalent
from rows_by_hand import row


def rows(operator: str, *verdicts: str, **more) -> list[dict]:
    return [
        row(f"{operator}@main#{site}", operator=operator, verdict=each, **more) for site, each in enumerate(verdicts)
    ]


def test_what_becomes_of_mutants_is_counted_operator_by_operator():
    counts = by_operator(
        [
            *rows("tir.b", "killed", "survived", "survived"),
            *rows("tir.a", "equivalent", proof="same generated code"),
            *rows("tir.a", "equivalent", "equivalent", proof="i <= 8 always equals i < 8: proved by TVM's analyzer"),
            *rows("tir.a", "killed", outcome="crash"),
            *rows("tir.a", "killed", outcome="timeout"),
            *rows("tir.a", None, outcome="compile error"),
        ]
    )
    assert [each.operator for each in counts] == ["tir.a", "tir.b"]
    first, second = counts
    assert (first.mutants, first.killed, first.survived, first.proved, first.same_code) == (6, 2, 0, 2, 1)
    assert (first.crashed, first.timed_out, first.other) == (1, 1, 1)
    assert (second.mutants, second.killed, second.survived, second.other) == (3, 1, 2, 0)
    assert second.interval == pytest.approx((0.0615, 0.7923), abs=1e-4)
    assert first.equivalent_interval == pytest.approx((0.1876, 0.8124), abs=1e-4)


def test_operators_are_named_only_if_enough_mutants_say_so():
    counts = by_operator(
        [
            *rows("always", *["killed"] * 5),
            *rows("mostly", *["killed"] * 9, "survived"),
            *rows("few", *["killed"] * 4),
            *rows("never", *["equivalent"] * 9, "survived", proof="same generated code"),
            *rows("seldom", *["equivalent"] * 4, proof="same generated code"),
        ]
    )
    assert [each.operator for each in always_killed(counts)] == ["always"]
    assert [each.operator for each in nearly_always_equivalent(counts)] == ["never"]

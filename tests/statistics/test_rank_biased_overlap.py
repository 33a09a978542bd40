from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_mutate.statistics import kendall_tau, rank_biased_overlap, ranking

NAN, INF = float("nan"), float("inf")
SCORES = st.one_of(st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 1.0]), st.floats(width=32))
PAIRS = st.integers(1, 12).flatmap(lambda size: st.tuples(*[st.lists(SCORES, min_size=size, max_size=size)] * 2))
VECTORS = st.lists(SCORES, min_size=1, max_size=12)


def scores_of(order: str, classes: str) -> list[float]:
    """Scores that rank the classes in this order, best first."""
    return [float(-order.index(name)) for name in classes]


@pytest.mark.parametrize(
    ("golden", "mutant", "p", "value"),
    [
        # A_d = 0, 1, 1, ...: all is lost but the weight 1 - p of the first depth.
        ("abcde", "bacde", 0.9, 0.9),
        # A_d = 0, 1/2, 1: 1 - 0.5 * (1 + 0.5 * 0.5).
        ("abc", "cab", 0.5, 0.375),
        # A_d = 0, 0, 2/3, 1: 1 - 0.1 * (1 + 0.9 + 0.81 / 3); also what the package rbo 0.1.3 gives.
        ("abcd", "dcba", 0.9, 0.783),
        # Depth 9 alone disagrees, by 1/9: a value quoted in issue 15 of the package rbo.
        ("abcdefghij", "abcdefghji", 0.9, 0.9952170310000001),
    ],
)
def test_rank_biased_overlap_gives_the_worked_values(golden: str, mutant: str, p: float, value: float):
    a, b = scores_of(golden, golden), scores_of(mutant, golden)
    assert rank_biased_overlap(a, b, p) == pytest.approx(value, abs=1e-12)


@settings(deadline=None)
@given(PAIRS, st.sampled_from([0.1, 0.5, 0.9, 0.99]))
def test_rank_biased_overlap_is_the_sum_over_depths(pair: tuple[list[float], list[float]], p: float):
    a, b = pair
    if all(np.isnan(a)) or all(np.isnan(b)):
        return
    first, second = ranking(a).tolist(), ranking(b).tolist()
    agreement = [len(set(first[:d]) & set(second[:d])) / d for d in range(1, len(a) + 1)]
    total = sum((1 - p) * p**d * share for d, share in enumerate(agreement)) + agreement[-1] * p ** len(a)
    assert rank_biased_overlap(a, b, p) == pytest.approx(total)


def test_a_swap_at_the_top_costs_more_overlap_than_one_at_the_bottom():
    golden = [5.0, 4.0, 3.0, 2.0, 1.0]
    top, bottom = [4.0, 5.0, 3.0, 2.0, 1.0], [5.0, 4.0, 3.0, 1.0, 2.0]
    assert rank_biased_overlap(golden, top) < rank_biased_overlap(golden, bottom) < 1
    assert kendall_tau(golden, top) == kendall_tau(golden, bottom)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.5, NAN])
def test_rank_biased_overlap_refuses_a_persistence_outside_zero_to_one(p: float):
    with pytest.raises(ValueError, match="persistence"):
        rank_biased_overlap([1.0, 2.0], [1.0, 2.0], p)

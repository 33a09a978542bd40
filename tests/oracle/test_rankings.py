from __future__ import annotations

import itertools
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_mutate.oracle.outputs import as_float64
from tvm_mutate.oracle.ranking import agreements, kendall_tau, rank_biased_overlap, ranking, top_k

NAN, INF = float("nan"), float("inf")
SCORES = st.one_of(st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 1.0]), st.floats(width=32))
PAIRS = st.integers(1, 12).flatmap(lambda size: st.tuples(*[st.lists(SCORES, min_size=size, max_size=size)] * 2))
VECTORS = st.lists(SCORES, min_size=1, max_size=12)


def test_classes_rank_by_falling_score_then_index_with_nan_below_minus_infinity():
    assert ranking([NAN, 2.0, -INF, 2.0, NAN, INF]).tolist() == [5, 1, 3, 2, 0, 4]


def test_many_equal_scores_rank_by_index():
    assert ranking([0.0, 1.0] * 500).tolist() == [*range(1, 1000, 2), *range(0, 1000, 2)]


def test_top_k_takes_the_best_and_all_when_there_are_fewer():
    assert top_k([0.1, 0.9, NAN, 0.5], 2) == {1, 3}
    assert top_k([0.1, 0.9], 5) == {0, 1}


def test_a_vector_of_nothing_but_nan_has_no_best_classes():
    assert top_k([NAN, NAN], 1) == frozenset()


def test_a_signalling_nan_becomes_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(as_float64(np.array([0x7FA00000], dtype=np.uint32).view(np.float32)))[0]


def test_kendall_tau_counts_concordant_minus_discordant_pairs():
    assert kendall_tau([4, 3, 2, 1], [4, 3, 1, 2]) == pytest.approx(4 / 6)  # 5 against 1, of 6
    assert kendall_tau([3, 2, 1], [1, 2, 3]) == -1.0


def test_kendall_tau_is_tau_b_where_scores_are_equal():
    # Of 6 pairs 3 are concordant, 2 discordant and one is a tie in b: (3 - 2) / sqrt(6 * 5).
    assert kendall_tau([1, 2, 3, 4], [1, 2, 2, 1.5]) == pytest.approx(1 / 30**0.5)


def test_nan_ranks_below_minus_infinity_in_kendall_tau():
    assert kendall_tau([3.0, 2.0, 1.0], [5.0, -INF, NAN]) == 1.0
    assert kendall_tau([3.0, 2.0, 1.0], [5.0, NAN, -INF]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("measure", [kendall_tau, rank_biased_overlap])
def test_nothing_but_nan_agrees_only_with_itself(measure):
    assert measure([NAN, NAN], [NAN, NAN]) == 1.0
    assert measure([NAN, NAN], [2.0, 1.0]) == 0.0
    assert measure([0.0, 0.0], [NAN, NAN]) == 0.0


def test_a_constant_vector_has_no_order_in_common_with_another():
    assert kendall_tau([7.0, 7.0], [0.0, 0.0]) == 1.0
    assert kendall_tau([7.0, 7.0], [1.0, 0.0]) == 0.0
    assert kendall_tau([1.0, 0.0], [7.0, 7.0]) == 0.0


@settings(deadline=None)
@given(PAIRS)
def test_agreements_are_symmetric_and_in_range(pair: tuple[list[float], list[float]]):
    a, b = pair
    assert -1 <= kendall_tau(a, b) <= 1
    assert 0 <= rank_biased_overlap(a, b) <= 1
    assert kendall_tau(a, b) == pytest.approx(kendall_tau(b, a))
    assert rank_biased_overlap(a, b) == rank_biased_overlap(b, a)


@settings(deadline=None)
@given(
    st.integers(2, 40).flatmap(
        lambda size: st.tuples(*[st.lists(st.integers(0, size), min_size=size, max_size=size)] * 2)
    )
)
def test_kendall_tau_is_that_of_scipy(pair: tuple[list[int], list[int]]):
    from scipy import stats  # here, because every process of the tests reads this file

    expected = stats.kendalltau(*pair).statistic
    assert np.isnan(expected) or kendall_tau(*pair) == round(expected, 12)


@settings(deadline=None)
@given(VECTORS)
def test_every_vector_agrees_with_itself_entirely(scores: list[float]):
    assert kendall_tau(scores, scores) == 1.0
    assert rank_biased_overlap(scores, scores) == 1.0


@settings(deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_kendall_tau_does_not_depend_on_the_numbering_of_classes(pair: tuple[list[float], list[float]], random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    renumbered = [[scores[i] for i in order] for scores in pair]
    assert kendall_tau(*renumbered) == pytest.approx(kendall_tau(*pair))


def test_a_kendall_tau_of_nine_tenths_is_nine_tenths():
    golden = list(range(25))
    mutant = [*golden[1:16], 0, *golden[16:]]  # 15 discordant pairs of 300
    assert kendall_tau(golden, mutant) == 0.9


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_only_the_reversal_has_the_least_kendall_tau(size: int):
    golden = list(range(size))
    least = [order for order in itertools.permutations(golden) if kendall_tau(golden, order) == -1.0]
    assert least == [tuple(reversed(golden))]


@pytest.mark.parametrize("measure", [kendall_tau, rank_biased_overlap])
@pytest.mark.parametrize(("a", "b"), [([1.0], [1.0, 2.0]), ([], []), ([[1.0]], [[1.0]])])
def test_agreements_refuse_what_is_not_two_vectors_of_one_length(measure, a, b):
    with pytest.raises(ValueError, match="vector"):
        measure(a, b)


@settings(deadline=None)
@given(st.lists(PAIRS, max_size=4), st.integers(1, 2))
def test_agreements_of_arrays_are_those_of_their_rows(pairs: list[tuple[list[float], list[float]]], k: int):
    classes = min((len(first) for first, _ in pairs), default=3)
    first, second = (np.array([pair[side][:classes] for pair in pairs]).reshape(-1, classes) for side in (0, 1))
    k, rows = min(k, classes), list(zip(first, second, strict=True))
    found = agreements(first, second, k)
    assert found.kendall_tau.tolist() == [kendall_tau(*row) for row in rows]
    assert found.rank_biased_overlap.tolist() == [rank_biased_overlap(*row) for row in rows]
    best = [(top_k(one, k), top_k(other, k)) for one, other in rows]
    assert found.top_k.tolist() == [1.0 if one == other else len(one & other) / k for one, other in best]


@pytest.mark.parametrize(("first", "second"), [((2, 3), (2, 4)), ((3,), (3,)), ((2, 0), (2, 0))])
def test_arrays_of_other_shapes_are_refused(first: tuple[int, ...], second: tuple[int, ...]):
    with pytest.raises(ValueError, match=re.escape(f"scores of shapes {first} and {second} are not two")):
        agreements(np.zeros(first), np.zeros(second), 1)


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

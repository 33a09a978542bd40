from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_mutate.oracle import latency_difference, wilson_interval


def test_wilson_interval_gives_the_textbook_values():
    # By hand: centre (8 + z^2/2) / (10 + z^2), half width z*sqrt(8*2/10 + z^2/4) / (10 + z^2), z = 1.959964.
    assert wilson_interval(8, 10) == pytest.approx((0.490162, 0.943318), abs=1e-6)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.277533), abs=1e-6)


def test_wilson_interval_of_nothing_is_everything():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_more_confidence_needs_a_wider_interval():
    low, high = wilson_interval(30, 50, confidence=0.95)
    wider_low, wider_high = wilson_interval(30, 50, confidence=0.99)
    assert wider_low < low < 0.6 < high < wider_high


@pytest.mark.parametrize(("successes", "total"), [(-1, 5), (6, 5), (1, 0), (0, -1)])
def test_wilson_interval_refuses_impossible_counts(successes: int, total: int):
    with pytest.raises(ValueError, match="cannot be"):
        wilson_interval(successes, total)


@pytest.mark.parametrize("confidence", [0.0, 1.0, float("nan")])
@pytest.mark.parametrize("total", [0, 10])
def test_wilson_interval_refuses_a_confidence_outside_zero_to_one(total: int, confidence: float):
    with pytest.raises(ValueError, match="confidence"):
        wilson_interval(0, total, confidence)


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilson_interval_holds_the_share_and_mirrors(counts: tuple[int, int]):
    successes, total = counts
    low, high = wilson_interval(successes, total)
    assert 0 <= low <= successes / total <= high <= 1
    assert wilson_interval(total - successes, total) == pytest.approx((1 - high, 1 - low))
    from scipy import stats  # here, because every process of the tests reads this file

    expected = stats.binomtest(successes, total).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_latencies_that_do_not_overlap_differ_significantly():
    test = latency_difference([1.0, 1.1, 1.2, 1.3, 1.4], [2.0, 2.2, 2.4, 2.6, 2.8])
    assert (test.golden_median, test.mutant_median, test.ratio) == (1.2, 2.4, 2.0)
    assert test.p_value == pytest.approx(2 / 252)  # exact: 2 of the 10-choose-5 orders are this extreme
    assert test.significant


def test_a_faster_mutant_differs_as_significantly_as_a_slower_one():
    slow, fast = [5.0, 6.0, 7.0, 8.0, 9.0], [0.5, 0.6, 0.7, 0.8, 0.9]
    assert latency_difference(slow, fast).significant
    assert latency_difference(slow, fast).p_value == latency_difference(fast, slow).p_value


def test_four_samples_a_side_are_too_few_for_significance():
    test = latency_difference([1, 2, 3, 4], [10, 20, 30, 40])
    assert test.p_value == pytest.approx(2 / 70)
    assert not test.significant


@pytest.mark.parametrize(("golden", "mutant"), [([1.0, 1.0], [9.0] * 50), ([1.0] * 50, [9.0, 9.0])])
def test_fewer_than_three_samples_have_medians_but_no_p_value(golden: list[float], mutant: list[float]):
    test = latency_difference(golden, mutant)
    assert (test.ratio, test.p_value, test.significant) == (9.0, None, False)


def test_three_samples_a_side_have_a_p_value():
    assert latency_difference([1, 2, 3], [4, 5, 6]).p_value == pytest.approx(2 / 20)


def test_latencies_of_two_values_can_differ():
    assert latency_difference([1.0] * 9, [2.0] * 9).significant


@pytest.mark.parametrize("side", ["golden", "mutant"])
def test_latencies_of_single_precision_are_compared_in_double_precision(side: str):
    close = np.array([1.0, 1.0 + 2**-23], np.float32)  # the mean of both is no number of single precision
    test = latency_difference(close, close)
    assert getattr(test, f"{side}_median") == 1.0 + 2**-24


def test_latencies_of_one_value_do_not_differ():
    assert latency_difference([0.5] * 20, [0.5] * 20).p_value == 1.0


def test_a_golden_median_of_zero_has_no_ratio():
    assert latency_difference([0.0] * 3, [1.0] * 3).ratio is None


@pytest.mark.parametrize(
    ("golden", "mutant", "side"),
    [([], [1.0], "golden"), ([1.0], [], "mutant"), ([1.0], [float("nan")], "mutant"), ([[1.0]], [1.0], "golden")],
)
def test_latencies_must_be_finite_and_at_least_one(golden: list[float], mutant: list[float], side: str):
    with pytest.raises(ValueError, match=f"^the {side} latencies must be one or more finite numbers of seconds$"):
        latency_difference(golden, mutant)

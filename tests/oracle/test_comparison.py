from __future__ import annotations

import json
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tvm_mutate.oracle import NO_LABEL, RELATIVE_FLOOR, absolute_differences, compare, parse_oracle
from tvm_mutate.samples import Samples

NAN, INF = float("nan"), float("inf")
TEXTS = ["bitwise", "tolerance", "top-1", "top-k", "rank-correlation"]
ALL = [parse_oracle(text) for text in TEXTS]
SCORE = st.one_of(st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 1.0]), st.floats(width=32))
SHAPE = st.tuples(st.integers(1, 5), st.integers(2, 8))
OUTPUTS = SHAPE.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=SCORE))
PAIRS = SHAPE.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.float32, shape, elements=SCORE)] * 2))


def floats(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_a_comparison_counts_what_changed():
    golden = floats([[1, 2, 3], [3, 2, 1], [1, 3, 2], [2, 1, 0]])
    mutant = floats([[1, 2, 3], [1, 2, 3], [1, 4, 2], [2, 1, 0.5]])
    found = compare(golden, mutant, np.array([2, 0, 0, 0]), ALL)
    assert (found.inputs, found.bitwise_equal) == (4, 1)
    assert (found.changed_labels, found.dissimilarity, found.changed_inputs) == (1, 0.25, (1,))
    assert found.labels == (2, 2, 1, 0)
    assert (found.golden_accuracy, found.accuracy) == (0.75, 0.5)
    assert (found.max_abs_diff, found.max_rel_diff) == (2.0, 0.5 / RELATIVE_FLOOR)
    assert found.kendall_tau == pytest.approx((1 - 1 + 1 + 1) / 4)
    assert found.rank_biased_overlap == pytest.approx((1 + (1 - 0.1 * (1 + 0.9 / 2)) + 1 + 1) / 4)
    assert found.top_k_overlap == 1.0
    assert {each.oracle: each.noticed for each in found.noticed} == {
        "bitwise": (1, 2, 3),
        "tolerance": (1, 2, 3),
        "top-1": (1,),
        "top-k{k=5}": (),
        "rank-correlation{threshold=0.9}": (1,),
    }
    # The numbers are means over the three samples that differ.
    assert {each.oracle.partition("{")[0]: each.number for each in found.noticed} == {
        "bitwise": pytest.approx((4 + 1 + 1) / 12 / 3),
        "tolerance": pytest.approx((2 + 1 + 1) / 3 / 3),
        "top-1": pytest.approx(1 / 3),
        "top-k": 0.0,
        "rank-correlation": pytest.approx((-1 + 1 + 1) / 3),
    }


def test_the_largest_differences_are_over_all_scores_and_relative_to_golden():
    found = compare(floats([[4.0, -8.0], [1.0, 2.0]]), floats([[5.0, -8.0], [1.5, 2.0]]))
    assert (found.max_abs_diff, found.max_rel_diff) == (1.0, 0.5)


def test_scores_that_are_not_finite_are_counted_and_left_out_of_the_differences():
    found = compare(floats([[1.0, INF, 2.0, 0.0]]), floats([[NAN, 5.0, 2.5, -INF]]))
    assert (found.nan_count, found.inf_count) == (1, 1)
    assert (found.max_abs_diff, found.max_rel_diff) == (0.5, 0.25)


def test_without_a_pair_of_finite_scores_there_is_no_largest_difference():
    found = compare(floats([[1.0, 2.0]]), floats([[NAN, INF]]))
    assert (found.max_abs_diff, found.max_rel_diff) == (None, None)


def test_an_unsigned_difference_does_not_wrap_around():
    assert compare(np.array([[1, 2]], np.uint8), np.array([[2, 1]], np.uint8)).max_abs_diff == 1.0


def test_an_output_of_nothing_but_nan_counts_as_a_changed_label():
    found = compare(floats([[1.0, 0.0], [0.0, 1.0]]), floats([[NAN, NAN], [0.0, 1.0]]), labels=[0, 1])
    assert (found.labels, found.changed_inputs) == ((NO_LABEL, 1), (0,))
    assert (found.accuracy, found.top_k_overlap, found.kendall_tau) == (0.5, 0.5, 0.5)
    assert found.rank_biased_overlap == 0.5


def test_no_label_is_not_right_even_where_the_right_label_is_unknown():
    found = compare(floats([[1.0, 0.0]]), floats([[NAN, NAN]]), labels=[NO_LABEL])
    assert (found.golden_accuracy, found.accuracy) == (0.0, 0.0)


def test_bits_are_compared_not_values():
    nan = np.array([[0x7FC00000, 0x3F800000]], dtype=np.uint32).view(np.float32)
    other_nan = np.array([[0x7FC00001, 0x3F800000]], dtype=np.uint32).view(np.float32)
    assert compare(nan, nan.copy()).bitwise_equal == 1
    assert compare(nan, other_nan).bitwise_equal == 0
    zeros = compare(floats([[0.0, 0.0]]), floats([[0.0, -0.0]]))
    assert (zeros.bitwise_equal, zeros.max_abs_diff, zeros.changed_labels) == (0, 0.0, 0)


def test_top_k_overlap_is_the_share_of_the_five_best_classes_that_stayed():
    golden = floats([[9, 8, 7, 6, 5, 4, 3, 2]])
    mutant = floats([[0, 8, 7, 6, 5, 4, 3, 9]])  # class 7 pushes class 0 out
    assert compare(golden, mutant).top_k_overlap == 4 / 5


@pytest.mark.parametrize(
    ("golden", "mutant", "same"),
    [
        ([[1, 0], [0, 1]], [[1, 0], [1, 0]], True),
        ([[1, 0], [0, 1]], [[1, 0], [0, 1]], False),
        ([[1, 0], [1, 0]], [[0, 1], [0, 1]], False),  # golden gives one label as well
        ([[1, 0], [0, 1]], [[NAN, NAN], [NAN, NAN]], True),
        ([[1, 0]], [[0, 1]], False),
    ],
)
def test_a_mutant_with_one_label_for_every_input_is_found(golden, mutant, same: bool):
    assert compare(floats(golden), floats(mutant)).same_label_for_every_input is same


def test_without_right_labels_there_is_no_accuracy():
    found = compare(floats([[1, 2]]), floats([[2, 1]]))
    assert (found.accuracy, found.golden_accuracy) == (None, None)


def test_only_the_given_oracles_are_asked():
    strict = parse_oracle("tolerance{rtol=0,atol=0}")
    found = compare(floats([[1, 2]]), floats([[1, 3]]), oracles=[strict])
    assert found.noticed_by(strict) == (0,)
    with pytest.raises(ValueError, match=r"did not ask top-1; it asked tolerance\{rtol=0"):
        found.noticed_by(parse_oracle("top-1"))
    with pytest.raises(ValueError, match=r"it asked no oracle$"):
        compare(floats([[1, 2]]), floats([[1, 3]]), oracles=[]).noticed_by(strict)
    both = [parse_oracle(text) for text in ("top-1", "top-k{k=1}")]
    with pytest.raises(ValueError, match=r"it asked top-1, top-k\{k=1\}$"):
        compare(floats([[1, 2]]), floats([[1, 3]]), oracles=both).noticed_by(strict)


@pytest.mark.parametrize(
    ("golden", "mutant"),
    [
        (np.zeros((2, 3)), np.zeros((3, 3))),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (Samples((np.zeros((2, 3)),)), Samples((np.zeros((2, 3)), np.zeros((2, 3))))),
        (Samples(()), Samples(())),
    ],
)
def test_other_numbers_of_samples_or_outputs_are_refused(golden, mutant):
    with pytest.raises(ValueError, match="they must be as many, and not empty"):
        compare(golden, mutant)


@pytest.mark.parametrize("mutant", [np.zeros((2, 4)), np.zeros((2, 3), np.float32)])
def test_every_oracle_notices_outputs_of_another_shape_or_dtype(mutant: np.ndarray):
    found = compare(np.zeros((2, 3)), mutant, oracles=ALL)
    assert (found.has_golden_shapes, found.bitwise_equal, found.max_abs_diff) == (False, 0, None)
    assert {(each.noticed, each.number) for each in found.noticed} == {((0, 1), None)}
    assert found.changed_labels is None and found.labels is None


@pytest.mark.parametrize(
    "outputs",
    [np.arange(6).reshape(2, 3), np.zeros((2, 1)), np.zeros(2), np.zeros((2, 3, 4, 5)), np.eye(2, dtype=bool)],
)
def test_a_program_that_is_no_classifier_has_no_labels(outputs: np.ndarray):
    found = compare(outputs, outputs + np.ones(1, outputs.dtype), oracles=[parse_oracle("bitwise")])
    assert (found.changed_labels, found.labels, found.kendall_tau, found.top_k_overlap) == (None,) * 4
    assert found.noticed[0].noticed and found.bitwise_equal < found.inputs


def test_every_output_counts():
    golden = Samples((floats([[1, 2], [3, 4]]), np.array([[1, 2, 3], [4, 5, 6]])))
    mutant = Samples((floats([[1, 2], [3, 4]]), np.array([[1, 2, 3], [4, 5, 9]])))
    found = compare(golden, mutant, oracles=[parse_oracle("tolerance")])
    assert (found.bitwise_equal, found.max_abs_diff, found.changed_labels) == (1, 3.0, 0)
    assert found.noticed[0][1:] == ((1,), 1 / 5)


def test_an_input_of_a_batch_has_its_own_label():
    golden = floats([[1, 0], [0, 1], [1, 0]])[np.newaxis]
    mutant = floats([[1, 0], [0, 1], [0, 1]])[np.newaxis]
    found = compare(golden, mutant, labels=[0, 1, 0], oracles=[parse_oracle("top-1")])
    assert (found.inputs, found.labels, found.changed_inputs) == (1, (0, 1, 1), (2,))
    assert (found.golden_accuracy, found.accuracy) == (1.0, 2 / 3)
    assert found.noticed[0][1:] == ((0,), pytest.approx(1 / 3))


@pytest.mark.parametrize("labels", [[0], [[0, 1]], 0])
def test_labels_that_do_not_fit_the_inputs_are_refused(labels):
    with pytest.raises(ValueError, match="labels"):
        compare(np.eye(2), np.eye(2), labels)


def test_a_comparison_becomes_json_without_numbers_that_json_lacks():
    huge = np.array([[1e308, 1.0]])
    found = compare(huge, np.array([[-1e308, 1.0]]), [0], [parse_oracle("top-1")])
    mapping = json.loads(json.dumps(found.to_mapping(), allow_nan=False))
    assert mapping["max_abs_diff"] is None
    assert mapping["labels"] == [1] and mapping["changed_inputs"] == [0]
    assert mapping["noticed"] == [["top-1", [0], 1.0]]
    assert mapping["accuracy"] == 0.0 and mapping["same_label_for_every_input"] is False


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float8_e4m3fn", "float32", "float64", "int8", "uint8", "bool"]
)
def test_outputs_of_every_dtype_compare(dtype: str):
    golden = np.array([[0, 1], [1, 0]]).astype(dtype)
    found = compare(golden, golden[::-1], oracles=[parse_oracle("tolerance")])
    assert (found.changed_labels, found.bitwise_equal, found.max_abs_diff) == (2 if "float" in dtype else None, 0, 1.0)
    assert found.noticed[0].noticed == (0, 1)


@settings(deadline=None)
@given(PAIRS)
def test_every_comparison_is_json_and_travels_between_processes(pair: tuple[np.ndarray, np.ndarray]):
    found = compare(*pair, oracles=ALL)
    assert json.loads(json.dumps(found.to_mapping(), allow_nan=False)) == found.to_mapping()
    assert pickle.loads(pickle.dumps(found)) == found


@settings(deadline=None)
@given(OUTPUTS)
def test_nothing_changes_against_itself(outputs: np.ndarray):
    found = compare(outputs, outputs.copy(), oracles=ALL)
    assert found.bitwise_equal == found.inputs == len(outputs)
    assert (found.changed_labels, found.dissimilarity, found.changed_inputs) == (0, 0.0, ())
    assert (found.top_k_overlap, found.kendall_tau, found.rank_biased_overlap) == (1.0, 1.0, 1.0)
    assert found.max_abs_diff in (0.0, None)
    assert [each[1:] for each in found.noticed] == [((), None)] * len(ALL)


@settings(deadline=None)
@given(PAIRS)
def test_a_comparison_is_in_range_and_agrees_with_itself(pair: tuple[np.ndarray, np.ndarray]):
    found = compare(*pair, oracles=ALL)
    noticed = {each.oracle: each.noticed for each in found.noticed}
    assert 0 <= found.dissimilarity <= 1 and found.dissimilarity == found.changed_labels / found.inputs
    assert -1 <= found.kendall_tau <= 1
    assert 0 <= found.rank_biased_overlap <= 1 and 0 <= found.top_k_overlap <= 1
    assert found.changed_inputs == noticed["top-1"]
    assert found.inputs - found.bitwise_equal == len(noticed["bitwise"])
    assert [name.partition("{")[0] for name in noticed] == TEXTS


@settings(deadline=None)
@given(PAIRS, st.randoms(use_true_random=False))
def test_the_order_of_the_inputs_does_not_matter(pair: tuple[np.ndarray, np.ndarray], random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    found, shuffled = compare(*pair), compare(pair[0][order], pair[1][order])
    by_input = {"changed_inputs", "labels", "noticed"}
    for name, value in found.to_mapping().items():
        if name not in by_input:
            assert getattr(shuffled, name) == pytest.approx(getattr(found, name)) or value is None
    assert {order[i] for i in shuffled.changed_inputs} == set(found.changed_inputs)
    assert [found.labels[i] for i in order] == list(shuffled.labels)


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        (3, 1, 2.0),
        (1.5, -1, 2.5),
        (0.0, -0.0, 0.0),
        (np.nan, np.nan, 0.0),
        (np.nan, 1, np.inf),
        (1, np.nan, np.inf),
        (np.inf, np.inf, 0.0),
        (np.inf, -np.inf, np.inf),
        (1, -np.inf, np.inf),
        (np.finfo(np.float64).max, np.finfo(np.float64).min, np.inf),
    ],
)
def test_a_difference_is_infinite_unless_the_values_are_finite_or_equal(first: float, second: float, difference: float):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = absolute_differences([[first, 7]], [[second, 7]])
    assert found.dtype == np.float64
    assert found.tolist() == [[difference, 0.0]]


def test_differences_of_unsigned_numbers_do_not_wrap_around():
    small, large = np.array([1], np.uint8), np.array([3], np.uint8)
    assert absolute_differences(small, large).tolist() == absolute_differences(large, small).tolist() == [2.0]

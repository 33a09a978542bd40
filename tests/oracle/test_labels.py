from __future__ import annotations

import numpy as np
import pytest

from tvm_mutate.oracle import NO_LABEL, classifier_scores, compare, device_disagreement, parse_oracle, top_labels
from tvm_mutate.samples import Samples

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ([1.0, 3.0, 2.0], 1),
        ([1.0, 3.0, 3.0], 1),  # the lowest class among equals
        ([-0.0, 0.0], 0),  # which are equal
        ([NAN, -5.0, NAN], 1),
        ([NAN, -INF], 1),  # NaN is below minus infinity
        ([NAN, INF, INF], 1),
        ([-INF, -INF], 0),
        ([NAN, NAN], NO_LABEL),
    ],
)
def test_the_label_is_the_best_number(row: list[float], label: int):
    assert top_labels([row]).tolist() == [label]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "bool"])
def test_labels_do_not_depend_on_the_dtype(dtype: str):
    outputs = np.array([[0, 1, 0], [1, 0, 0]], dtype=dtype)
    assert top_labels(outputs).tolist() == [1, 0]


@pytest.mark.parametrize("outputs", [[1.0, 2.0], [[[1.0]]], np.zeros((3, 0))])
def test_labels_need_inputs_by_classes(outputs):
    with pytest.raises(ValueError, match="inputs, classes"):
        top_labels(outputs)


def test_outputs_like_the_first_are_scores_of_further_inputs():
    tokens = np.array([[[7]], [[8]]])
    golden = Samples((np.array([[[0.0, 1.0]], [[3.0, 2.0]]]), tokens, np.array([[[5.0, 4.0]], [[6.0, 7.0]]])))
    assert classifier_scores(golden).tolist() == [[0, 1], [5, 4], [3, 2], [6, 7]]  # sample by sample
    mutant = Samples((golden.arrays[0], tokens, golden.arrays[2][..., ::-1]))
    found = compare(golden, mutant, labels=[1, 0], oracles=[parse_oracle("top-1")])
    assert (found.changed_inputs, found.golden_accuracy, found.accuracy) == ((1, 3), 0.5, 1.0)
    assert found.noticed[0][1] == (0, 1)


def test_device_disagreement_is_the_share_of_different_labels():
    assert device_disagreement([1, 2, 3, NO_LABEL], [1, 5, 3, 0]) == 0.5
    assert device_disagreement((4, 4), (4, 4)) == 0.0


@pytest.mark.parametrize(("a", "b"), [([1, 2], [1]), ([], []), ([[1]], [[1]])])
def test_device_disagreement_needs_the_same_inputs(a, b):
    with pytest.raises(ValueError, match=r"cannot be compared; both devices must have run the same inputs$"):
        device_disagreement(a, b)

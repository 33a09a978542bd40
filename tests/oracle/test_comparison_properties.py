from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tvm_mutate.oracle import ORACLES, compare

NAN, INF = float("nan"), float("inf")
SCORE = st.one_of(st.sampled_from([NAN, INF, -INF, 0.0, -0.0, 1.0]), st.floats(width=32))
SHAPE = st.tuples(st.integers(1, 5), st.integers(1, 8))
OUTPUTS = SHAPE.flatmap(lambda shape: hnp.arrays(np.float32, shape, elements=SCORE))
PAIRS = SHAPE.flatmap(lambda shape: st.tuples(*[hnp.arrays(np.float32, shape, elements=SCORE)] * 2))


@settings(deadline=None)
@given(PAIRS)
def test_every_comparison_is_json_and_travels_between_processes(pair: tuple[np.ndarray, np.ndarray]):
    found = compare(*pair)
    assert json.loads(json.dumps(found.to_mapping(), allow_nan=False)) == found.to_mapping()
    assert pickle.loads(pickle.dumps(found)) == found


@settings(deadline=None)
@given(OUTPUTS)
def test_nothing_changes_against_itself(outputs: np.ndarray):
    found = compare(outputs, outputs.copy())
    assert found.bitwise_equal == found.inputs == len(outputs)
    assert (found.changed_labels, found.dissimilarity, found.changed_inputs) == (0, 0.0, ())
    assert (found.top_k_overlap, found.kendall_tau, found.rank_biased_overlap) == (1.0, 1.0, 1.0)
    assert found.max_abs_diff in (0.0, None)
    assert not any(indices for _, indices in found.noticed)


@settings(deadline=None)
@given(PAIRS)
def test_a_comparison_is_in_range_and_agrees_with_itself(pair: tuple[np.ndarray, np.ndarray]):
    found = compare(*pair)
    assert 0 <= found.dissimilarity <= 1 and found.dissimilarity == found.changed_labels / found.inputs
    assert -1 <= found.kendall_tau <= 1
    assert 0 <= found.rank_biased_overlap <= 1 and 0 <= found.top_k_overlap <= 1
    assert found.changed_inputs == dict(found.noticed)["top-1"]
    assert found.inputs - found.bitwise_equal == len(dict(found.noticed)["bitwise"])
    assert [name.partition("{")[0] for name, _ in found.noticed] == list(ORACLES)


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

from __future__ import annotations

import re

import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from tests.model.model_files import finished, tiny_model
from tvm_mutate.model.onnx_import import clean_names, with_clean_names

NAMES = st.lists(st.one_of(st.text(max_size=6), st.text("ab/._:0 -", max_size=5), st.sampled_from(["float", "_float"])))


@given(NAMES)
def test_cleaned_names_are_identifiers_and_stay_different(names):
    cleaned = clean_names(names)
    assert set(cleaned) == set(names) - {""}
    assert len(set(cleaned.values())) == len(cleaned)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in cleaned.values())
    assert "float" not in cleaned.values()


@given(NAMES)
def test_clean_names_stay_as_they_are(names):
    cleaned = clean_names(names).values()
    assert clean_names(cleaned) == {name: name for name in cleaned}


def test_a_cleaned_name_gives_way_to_one_that_was_clean_before():
    assert clean_names(["a/b", "a_b", "a.b", "1"]) == {"a_b": "a_b", "a/b": "a_b_1", "a.b": "a_b_2", "1": "_1"}


def test_a_whole_model_is_renamed_consistently():
    clean, values, nodes = with_clean_names(tiny_model(input_name="data:0"))
    onnx.checker.check_model(clean)
    assert values["data:0"] == clean.graph.input[0].name == "data_0"
    assert values["/conv/out"] == "_conv_out_1"  # the model has a value _conv_out of its own
    assert [node.name for node in clean.graph.node][:2] == ["_conv_Conv", "_bn_BatchNormalization"]
    assert nodes["/conv/Conv"] == "_conv_Conv"


def test_values_of_subgraphs_are_renamed_with_those_around_them():
    branches = {}
    for branch in ("then_branch", "else_branch"):
        output = helper.make_tensor_value_info(f"{branch}/out", 1, [1, 4])
        node = helper.make_node("Relu", ["x/0"], [f"{branch}/out"], name="in/side")
        branches[branch] = helper.make_graph([node], branch, [], [output])
    node = helper.make_node("If", ["cond/0"], ["y/0"], name="if/0", **branches)
    inputs = [helper.make_tensor_value_info("x/0", 1, [1, 4]), helper.make_tensor_value_info("cond/0", 9, [])]
    proto = finished([node], inputs, [helper.make_tensor_value_info("y/0", 1, [1, 4])])
    clean, _, _ = with_clean_names(proto)
    onnx.checker.check_model(clean)
    inner = clean.graph.node[0].attribute[0].g
    assert inner.node[0].input[0] == "x_0"
    assert inner.output[0].name == inner.node[0].output[0]
    assert "/" not in str(clean)

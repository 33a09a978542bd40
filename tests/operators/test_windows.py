"""Paddings and dilations: what the examples do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import IMAGE, mutate, network, run, signed, sites
from tvm import relax

WEIGHTS = relax.const(signed(2, 3, 3, 3))


def convolution(**attributes: Any):
    return network(IMAGE, build=lambda builder, x: relax.op.nn.conv2d(x, WEIGHTS, **attributes))


@pytest.mark.parametrize(
    "mutant", ["graph.shift-padding{to=begin}", "graph.shift-padding{to=end}", "graph.wrong-padding{with=one}"]
)
def test_a_convolution_without_padding_has_none_to_change(mutant: str):
    assert sites(convolution(), mutant + "@*#*") == 0
    assert sites(convolution(padding=1), mutant + "@*#*") == 1


def test_padding_that_is_on_one_side_already_cannot_move_there():
    module = convolution(padding=(2, 2, 0, 0))
    assert sites(module, "graph.shift-padding{to=begin}@*#*") == 0
    assert sites(module, "graph.shift-padding{to=end}@*#*") == 1


def test_a_window_of_one_element_has_no_dilation():
    pointwise = relax.const(signed(2, 3, 1, 1))
    module = network(IMAGE, build=lambda builder, x: relax.op.nn.conv2d(x, pointwise))
    assert sites(module, "graph.double-dilation@*#*") == 0


@pytest.mark.parametrize(("name", "mode"), [("replicate", "edge"), ("reflect", "reflect"), ("circular", "wrap")])
def test_padding_repeats_the_data_at_their_edges_as_numpy_does(name: str, mode: Any):
    mutated, _ = mutate(convolution(padding=1), f"graph.wrong-padding{{with={name}}}@main#*")
    padded = np.pad(signed(*IMAGE), ((0, 0), (0, 0), (1, 1), (1, 1)), mode=mode)
    plain = network(padded.shape, build=lambda builder, x: relax.op.nn.conv2d(x, WEIGHTS))
    np.testing.assert_allclose(run(mutated, signed(*IMAGE)), run(plain, padded), rtol=1e-5, atol=1e-6)


@settings(max_examples=25, derandomize=True)
@given(
    st.sampled_from(["max_pool2d", "avg_pool2d"]),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(1, 3),
    st.tuples(*[st.integers(0, 1)] * 4),
    st.sampled_from(["shift-padding{to=begin}", "shift-padding{to=end}", "double-dilation"]),
)
def test_the_shape_stays_for_every_window_stride_and_padding(
    name: str, window: tuple[int, int], stride: int, padding: tuple[int, ...], mutant: str
):
    function = getattr(relax.op.nn, name)
    module = network(IMAGE, build=lambda builder, x: function(x, window, strides=(stride, stride), padding=padding))
    mutated, (applied,) = mutate(module, f"graph.{mutant}@main#*")
    assert str(mutated["main"].ret_ty) == str(module["main"].ret_ty)
    assert applied.changed == bool(applied.found)

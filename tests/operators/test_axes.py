"""Wrong axes and orders: what the examples do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from small_networks import mutate, network, ops, run, signed, sites
from tvm import relax


def layer(shape: tuple[int, ...], function: Any):
    return network(shape, build=lambda builder, x: function(x))


@pytest.mark.parametrize(
    ("shape", "axes", "keepdims", "expected"),
    [
        ((2, 3, 5), [1], False, None),
        ((2, 4, 4), [1], False, [2]),
        ((4, 2, 4), [2], True, None),
        ((4, 2, 4), [0], False, None),
        ((1, 1, 3), [0], False, None),
        ((2, 4, 4, 4), [2, -1], False, [1, 2]),
    ],
)
def test_a_reduction_goes_over_another_axis_only_where_its_result_keeps_its_shape(
    shape: tuple[int, ...], axes: list[int], keepdims: bool, expected: list[int] | None
):
    module = layer(shape, lambda x: relax.op.sum(x, axes, keepdims))
    mutated, (applied,) = mutate(module, "graph.wrong-axis{of=reduction}@main#*")
    assert applied.changed == (expected is not None)
    if expected:
        assert sorted(map(int, mutated["main"].body.blocks[0].bindings[0].value.attrs.axis)) == expected


def test_a_softmax_along_an_axis_of_one_element_gives_ones():
    mutated, _ = mutate(layer((1, 5), relax.op.nn.softmax), "graph.wrong-axis{of=softmax}@main#*")
    np.testing.assert_array_equal(run(mutated, signed(1, 5)), np.ones((1, 5), "float32"))


def test_a_vector_has_no_other_axis():
    assert sites(layer((5,), relax.op.nn.softmax), "graph.wrong-axis{of=softmax}@*#*") == 0


@pytest.mark.parametrize(("shape", "axes", "expected"), [((1, 3, 4), [1, 0, 2], 0), ((1, 3, 4), [0, 2, 1], 1)])
def test_a_transposition_that_moves_no_data_is_not_dropped(shape: tuple[int, ...], axes: list[int], expected: int):
    assert sites(layer(shape, lambda x: relax.op.permute_dims(x, axes)), "graph.drop-transpose@*#*") == expected


def test_a_dropped_transposition_is_a_reshape():
    module = layer((2, 3, 4), lambda x: relax.op.permute_dims(x, [2, 0, 1]))
    mutated, _ = mutate(module, "graph.drop-transpose@main#*")
    np.testing.assert_array_equal(run(mutated, signed(2, 3, 4)), signed(2, 3, 4).reshape(4, 2, 3))


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (6,), (1, 1, 6)])
def test_a_reshape_of_data_along_one_axis_has_no_other_order(shape: tuple[int, ...]):
    size = int(np.prod(shape))
    assert sites(layer(shape, lambda x: relax.op.reshape(x, (1, size))), "graph.reorder-reshape@*#*") == 0


def test_data_are_flattened_as_if_they_were_channels_last():
    module = layer((1, 2, 3, 4), lambda x: relax.op.reshape(x, (1, 24)))
    mutated, _ = mutate(module, "graph.reorder-reshape@main#*")
    assert ops(mutated) == ["permute_dims", "reshape"]
    expected = signed(1, 2, 3, 4).transpose(0, 2, 3, 1).reshape(1, 24)
    np.testing.assert_array_equal(run(mutated, signed(1, 2, 3, 4)), expected)


def test_symbolic_shapes_are_no_sites():
    size = tvm.tirx.Var("n", "int64")
    module = layer((size, size), relax.op.permute_dims)
    assert sites(module, "graph.drop-transpose@*#*") == 0
    assert sites(layer((size, 4), relax.op.nn.softmax), "graph.wrong-axis{of=softmax}@*#*") == 0

"""Axes, paddings, dilations, normalisations, reductions, bounds and resizing: what the examples do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import IMAGE, mutate, network, ops, positive, run, signed, sites
from tvm import relax

IDENTITY = (np.ones(3, "float32"), np.zeros(3, "float32"))
WEIGHTS = relax.const(signed(2, 3, 3, 3))


def normalisation(gamma: np.ndarray, beta: np.ndarray, **attributes: Any):
    mean, variance = relax.const(signed(3)), relax.const(positive(3))

    def build(builder: relax.BlockBuilder, x: relax.Var):
        arguments = relax.const(gamma), relax.const(beta), mean, variance
        norm = relax.op.nn.batch_norm(x, *arguments, axis=1, training=False, **attributes)
        return relax.TupleGetItem(builder.emit(norm), 0)

    return network(IMAGE, build=build)


def layer(function: Any, shape: tuple[int, ...] = IMAGE):
    return network(shape, build=lambda builder, x: function(x))


def convolution(**attributes: Any):
    return network(IMAGE, build=lambda builder, x: relax.op.nn.conv2d(x, WEIGHTS, **attributes))


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
    module = layer(lambda x: relax.op.sum(x, axes, keepdims), shape)
    mutated, (applied,) = mutate(module, "graph.wrong-axis{of=reduction}@main#*")
    assert applied.changed == (expected is not None)
    if expected:
        assert sorted(map(int, mutated["main"].body.blocks[0].bindings[0].value.attrs.axis)) == expected


def test_a_softmax_along_an_axis_of_one_element_gives_ones():
    mutated, _ = mutate(layer(relax.op.nn.softmax, (1, 5)), "graph.wrong-axis{of=softmax}@main#*")
    np.testing.assert_array_equal(run(mutated, signed(1, 5)), np.ones((1, 5), "float32"))


def test_a_vector_has_no_other_axis():
    assert sites(layer(relax.op.nn.softmax, (5,)), "graph.wrong-axis{of=softmax}@*#*") == 0


@pytest.mark.parametrize(("shape", "axes", "expected"), [((1, 3, 4), [1, 0, 2], 0), ((1, 3, 4), [0, 2, 1], 1)])
def test_a_transposition_that_moves_no_data_is_not_dropped(shape: tuple[int, ...], axes: list[int], expected: int):
    assert sites(layer(lambda x: relax.op.permute_dims(x, axes), shape), "graph.drop-transpose@*#*") == expected


def test_a_dropped_transposition_is_a_reshape():
    module = layer(lambda x: relax.op.permute_dims(x, [2, 0, 1]), (2, 3, 4))
    mutated, _ = mutate(module, "graph.drop-transpose@main#*")
    np.testing.assert_array_equal(run(mutated, signed(2, 3, 4)), signed(2, 3, 4).reshape(4, 2, 3))


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (6,), (1, 1, 6)])
def test_a_reshape_of_data_along_one_axis_has_no_other_order(shape: tuple[int, ...]):
    size = int(np.prod(shape))
    assert sites(layer(lambda x: relax.op.reshape(x, (1, size)), shape), "graph.reorder-reshape@*#*") == 0


def test_data_are_flattened_as_if_they_were_channels_last():
    module = layer(lambda x: relax.op.reshape(x, (1, 24)), (1, 2, 3, 4))
    mutated, _ = mutate(module, "graph.reorder-reshape@main#*")
    assert ops(mutated) == ["permute_dims", "reshape"]
    expected = signed(1, 2, 3, 4).transpose(0, 2, 3, 1).reshape(1, 24)
    np.testing.assert_array_equal(run(mutated, signed(1, 2, 3, 4)), expected)


def test_symbolic_shapes_are_no_sites():
    size = tvm.tirx.Var("n", "int64")
    module = layer(relax.op.permute_dims, (size, size))
    assert sites(module, "graph.drop-transpose@*#*") == 0
    assert sites(layer(relax.op.nn.softmax, (size, 4)), "graph.wrong-axis{of=softmax}@*#*") == 0


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


def test_a_scale_of_ones_and_a_shift_of_zeros_can_be_left_out_unnoticed_and_are_no_sites():
    for part in ("scale", "centre"):
        mutant = f"graph.drop-affine{{part={part}}}@*#*"
        assert sites(normalisation(*IDENTITY), mutant) == 0
        assert sites(normalisation(positive(3), positive(3)), mutant) == 1
        assert sites(normalisation(positive(3), positive(3), scale=False, center=False), mutant) == 0


def test_without_scale_and_shift_a_normalisation_is_the_one_with_ones_and_zeros():
    both = "graph.drop-affine{part=scale}@main#*+graph.drop-affine{part=centre}@main#*"
    mutated, _ = mutate(normalisation(positive(3), signed(3)), both)
    np.testing.assert_allclose(
        run(mutated, signed(*IMAGE)), run(normalisation(*IDENTITY), signed(*IMAGE)), rtol=1e-6, atol=1e-6
    )


def test_an_epsilon_multiplied_by_one_or_that_is_zero_is_no_site():
    assert sites(normalisation(*IDENTITY), "graph.wrong-epsilon{factor=1.0}@*#*") == 0
    assert sites(normalisation(*IDENTITY, epsilon=0.0), "graph.wrong-epsilon@*#*") == 0


def test_only_a_batch_normalisation_has_statistics():
    ones, zeros = (relax.const(values) for values in (np.ones(8, "float32"), np.zeros(8, "float32")))
    module = layer(lambda x: relax.op.nn.layer_norm(x, ones, zeros, [-1]))
    assert sites(module, "graph.swap-statistics@*#*") == 0
    assert sites(module, "graph.swap-statistics{pair=affine}@*#*") == 1


def test_a_pooling_without_padding_has_none_to_count():
    assert sites(layer(lambda x: relax.op.nn.avg_pool2d(x, (2, 2))), "graph.flip-count-include-pad@*#*") == 0


@pytest.mark.parametrize("axes", [None, [2, 3], [-1]])
@pytest.mark.parametrize("keepdims", [False, True])
def test_a_replaced_reduction_keeps_its_axes(axes: list[int] | None, keepdims: bool):
    module = layer(lambda x: relax.op.mean(x, axes, keepdims))
    mutated, _ = mutate(module, "graph.replace-reduction{from=mean,to=max}@main#*")
    expected = signed(*IMAGE).max(None if axes is None else tuple(axes), keepdims=keepdims)
    np.testing.assert_array_equal(run(mutated, signed(*IMAGE)), expected)


def test_a_bound_that_stands_for_none_is_neither_moved_nor_dropped():
    module = layer(lambda x: relax.op.clip(x, 0.0, 3.4e38))
    for mutant in ("wrong-clip{bound=low}", "wrong-clip{bound=high}", "drop-bound{bound=high}"):
        assert sites(module, f"graph.{mutant}@*#*") == 0
    mutated, _ = mutate(module, "graph.drop-bound{bound=low}@main#*")
    assert run(mutated, signed(*IMAGE)).tobytes() == signed(*IMAGE).tobytes()


def test_a_bound_never_crosses_the_other_one():
    module = layer(lambda x: relax.op.clip(x, 0.0, 6.0))
    assert sites(module, "graph.wrong-clip{bound=high,by=-1.0}@*#*") == 0
    assert sites(module, "graph.wrong-clip{bound=low,by=1.5}@*#*") == 0


def test_an_image_that_is_resized_this_way_already_is_no_site():
    module = layer(lambda x: relax.op.image.resize2d(x, (16, 16), coordinate_transformation_mode="align_corners"))
    assert sites(module, "graph.wrong-resize{to=align_corners}@*#*") == 0
    assert sites(module, "graph.wrong-resize{to=half_pixel}@*#*") == 1

"""Normalisations, reductions, bounds and casts: what the examples do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_networks import IMAGE, mutate, network, positive, run, signed, sites
from tvm import relax

IDENTITY = (np.ones(3, "float32"), np.zeros(3, "float32"))


def normalisation(gamma: np.ndarray, beta: np.ndarray, **attributes: Any):
    mean, variance = relax.const(signed(3)), relax.const(positive(3))

    def build(builder: relax.BlockBuilder, x: relax.Var):
        arguments = relax.const(gamma), relax.const(beta), mean, variance
        norm = relax.op.nn.batch_norm(x, *arguments, axis=1, training=False, **attributes)
        return relax.TupleGetItem(builder.emit(norm), 0)

    return network(IMAGE, build=build)


def layer(function: Any, shape: tuple[int, ...] = IMAGE):
    return network(shape, build=lambda builder, x: function(x))


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


def test_a_cast_rounds_to_the_narrower_type():
    module = layer(relax.op.nn.relu)
    mutated, _ = mutate(module, "graph.insert-cast{after=activation}@main#*")
    expected = np.maximum(signed(*IMAGE), 0).astype("float16").astype("float32")
    np.testing.assert_array_equal(run(mutated, signed(*IMAGE)), expected)


def test_only_float32_is_cast():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((2, 3), "float16"))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(relax.op.nn.relu(x))
        builder.emit_func_output(result)
    assert sites(builder.get(), "graph.insert-cast{after=activation}@*#*") == 0


def test_an_image_that_is_resized_this_way_already_is_no_site():
    module = layer(lambda x: relax.op.image.resize2d(x, (16, 16), coordinate_transformation_mode="align_corners"))
    assert sites(module, "graph.wrong-resize{to=align_corners}@*#*") == 0
    assert sites(module, "graph.wrong-resize{to=half_pixel}@*#*") == 1

"""Layers dropped and repeated: what the examples do not show."""

from __future__ import annotations

import numpy as np
from small_networks import IMAGE, mutate, network, ops, positive, run, signed, sites
from tvm import relax


def convolution(**attributes: object):
    weights = relax.const(signed(3, 3, 3, 3))
    return network(IMAGE, build=lambda builder, x: relax.op.nn.conv2d(x, weights, **attributes))


def test_a_layer_whose_output_has_another_type_than_its_data_is_neither_dropped_nor_repeated():
    for mutant in ("graph.drop-layer{kind=linear}@*#*", "graph.repeat-layer{kind=linear}@*#*"):
        assert sites(convolution(), mutant) == 0
        assert sites(convolution(padding=1), mutant) == 1


def test_an_activation_that_does_nothing_the_second_time_is_dropped_but_not_repeated():
    module = network(IMAGE, build=lambda builder, x: relax.op.nn.relu(x))
    assert sites(module, "graph.drop-layer{kind=activation}@*#*") == 1
    assert sites(module, "graph.repeat-layer{kind=activation}@*#*") == 0


def test_a_repeated_layer_computes_what_the_network_does_for_its_own_output():
    module = convolution(padding=1)
    mutated, _ = mutate(module, "graph.repeat-layer{kind=linear}@main#0")
    assert ops(mutated) == ["conv2d", "conv2d"]
    image = signed(*IMAGE)
    np.testing.assert_array_equal(run(mutated, image), run(module, run(module, image)))


def test_a_dropped_batch_normalisation_hands_on_its_data():
    statistics = [relax.const(positive(3)) for _ in range(4)]

    def build(builder: relax.BlockBuilder, x: relax.Var):
        return relax.TupleGetItem(builder.emit(relax.op.nn.batch_norm(x, *statistics, axis=1, training=False)), 0)

    mutated, _ = mutate(network(IMAGE, build=build), "graph.drop-layer{kind=normalisation}@main#0")
    assert run(mutated, signed(*IMAGE)).tobytes() == signed(*IMAGE).tobytes()

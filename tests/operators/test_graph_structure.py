"""Layers and operands that are dropped, repeated or exchanged: what the examples do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_networks import IMAGE, mutate, network, ops, positive, run, signed, sites
from tvm import relax

SHAPE = (2, 3)


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


def of_two(function: Any, *shapes: tuple[int, ...]):
    return network(*shapes, build=lambda builder, x, y: function(x, y))


def of_one(function: Any):
    return network(SHAPE, build=lambda builder, x: function(x))


@pytest.mark.parametrize(
    ("bias", "residuals", "biases"), [((2, 3), 1, 0), ((3,), 0, 1), ((1, 3), 0, 1), ((1, 1), 0, 1), ((2, 1), 0, 1)]
)
def test_an_addition_is_of_a_bias_or_of_two_branches_but_not_both(bias: tuple[int, ...], residuals: int, biases: int):
    module = of_two(relax.op.add, SHAPE, bias)
    for mutant in ("graph.drop-operand{keep=first}", "graph.drop-operand{keep=second}", "graph.repeat-operand{at=add}"):
        assert sites(module, mutant + "@*#*") == residuals
    assert sites(module, "graph.drop-bias@*#*") == biases


@pytest.mark.parametrize("bias", [(3,), (1, 3), ()])
def test_a_constant_bias_is_a_bias_whatever_its_shape(bias: tuple[int, ...]):
    module = network((1, 3), build=lambda builder, x: relax.op.add(relax.const(signed(*bias)), x))
    mutated, _ = mutate(module, "graph.drop-bias@main#*")
    assert run(mutated, signed(1, 3)).tobytes() == signed(1, 3).tobytes()
    assert sites(module, "graph.drop-operand{keep=first}@*#*") == 0


@pytest.mark.parametrize("at", ["subtract", "divide", "power", "where", "concat"])
def test_one_value_in_two_places_cannot_change_places(at: str):
    functions = {
        "where": lambda x: relax.op.where(relax.op.less(x, x), x, x),
        "concat": lambda x: relax.op.concat([x, x]),
    }
    module = of_one(functions.get(at, lambda x: getattr(relax.op, at)(x, x)))
    assert sites(module, f"graph.swap-operands{{at={at}}}@*#*") == 0


def test_an_addition_of_a_value_to_itself_has_no_operand_to_repeat():
    assert sites(of_one(lambda x: relax.op.add(x, x)), "graph.repeat-operand{at=add}@*#*") == 0


def test_parts_of_different_shapes_stay_where_they_are():
    module = of_two(lambda x, y: relax.op.concat([x, y], axis=1), SHAPE, (2, 4))
    assert sites(module, "graph.swap-operands{at=concat}@*#*") == 0
    assert sites(module, "graph.repeat-operand{at=concat}@*#*") == 0
    split = of_one(lambda x: relax.op.split(x, [1], axis=1))
    assert sites(split, "graph.swap-parts@*#*") == 0


@pytest.mark.parametrize("at", ["subtract", "concat"])
def test_exchanging_twice_restores_the_values(at: str):
    functions = {"subtract": relax.op.subtract, "concat": lambda x, y: relax.op.concat([x, y], axis=1)}
    module, mutant = of_two(functions[at], SHAPE, SHAPE), f"graph.swap-operands{{at={at}}}@main#*"
    inputs = signed(*SHAPE), signed(*SHAPE) + 1
    once = mutate(module, mutant)[0]
    assert run(once, *inputs).tobytes() == run(module, *inputs[::-1]).tobytes()
    np.testing.assert_array_equal(run(mutate(once, mutant)[0], *inputs), run(module, *inputs))

"""Weights of layers: what the examples do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm_ffi
from small_networks import mutate, network, positive, run, signed, sites
from tvm import relax

IMAGE = (1, 3, 6, 6)
MUTANTS = (
    "graph.flip-weight-bit",
    "graph.scale-weights",
    "graph.quantise-weights",
    "graph.zero-channel",
    "graph.reverse-channels{of=output}",
    "graph.reverse-channels{of=input}",
)


def convolution(weights: np.ndarray, **attributes: Any):
    return network(IMAGE, build=lambda builder, x: relax.op.nn.conv2d(x, relax.const(weights), **attributes))


def weights_of(module: Any) -> np.ndarray:
    return module["main"].body.blocks[0].bindings[0].value.args[1].value.numpy()


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_convolution_and_a_matrix_have_weights_wherever_these_are_constants(mutant: str):
    matrix = relax.const(signed(6, 5))
    modules = (
        (convolution(signed(4, 3, 3, 3)), 1),
        (network((2, 6), build=lambda builder, x: relax.op.matmul(x, matrix)), 1),
        (network((2, 5), build=lambda builder, x: relax.op.matmul(x, relax.op.permute_dims(matrix))), 1),
        (network((2, 6), (6, 5), build=lambda builder, x, y: relax.op.matmul(x, y)), 0),
        (network((2, 6), build=lambda builder, x: relax.op.permute_dims(x)), 0),
    )
    for module, expected in modules:
        assert sites(module, mutant + "@*#*") == expected


@pytest.mark.parametrize(
    "mutant",
    ["graph.scale-weights", "graph.quantise-weights", "graph.zero-channel", "graph.reverse-channels{of=input}"],
)
def test_weights_that_come_out_as_the_same_bits_are_no_site(mutant: str):
    assert sites(convolution(np.zeros((4, 3, 3, 3), "float32")), mutant + "@*#*") == 0


def test_only_the_weights_change_and_the_original_keeps_its_own():
    module, values = convolution(signed(4, 3, 3, 3)), signed(4, 3, 3, 3)
    mutated, _ = mutate(module, "graph.flip-weight-bit{bit=31,element=7}@main#0")
    values.reshape(-1)[7] *= -1
    np.testing.assert_array_equal(weights_of(mutated), values)
    np.testing.assert_array_equal(weights_of(module), signed(4, 3, 3, 3))


@pytest.mark.parametrize(
    "mutant", ["flip-weight-bit{bit=32}", "flip-weight-bit{element=108}", "zero-channel{channel=4}"]
)
def test_a_bit_element_or_channel_that_is_not_there_is_no_site(mutant: str):
    assert sites(convolution(signed(4, 3, 3, 3)), f"graph.{mutant}@*#*") == 0


@pytest.mark.parametrize("mutant", ["reverse-channels{of=output}", "reverse-channels{of=input}", "flip-kernel"])
def test_reversing_twice_restores_the_graph(mutant: str):
    module = convolution(signed(4, 3, 3, 3))
    once = mutate(module, f"graph.{mutant}@main#*")[0]
    assert not tvm_ffi.structural_equal(once, module)
    assert tvm_ffi.structural_equal(mutate(once, f"graph.{mutant}@main#*")[0], module)


@pytest.mark.parametrize(("layout", "shape"), [("OIHW", (2, 3, 3, 1)), ("HWIO", (3, 1, 3, 2)), ("OHWI", (2, 3, 1, 3))])
def test_channels_and_windows_are_found_in_every_layout(layout: str, shape: tuple[int, ...]):
    module = convolution(positive(*shape), kernel_layout=layout)
    output, height = layout.index("O"), layout.index("H")
    zeroed = weights_of(mutate(module, "graph.zero-channel{channel=1}@main#0")[0])
    np.testing.assert_array_equal(np.flatnonzero(zeroed.sum(tuple({0, 1, 2, 3} - {output}))), [0])
    flipped = weights_of(mutate(module, "graph.flip-kernel@main#0")[0])
    np.testing.assert_array_equal(flipped, np.flip(positive(*shape), height))


def test_a_pointwise_or_symmetric_kernel_has_no_other_side():
    assert sites(convolution(signed(4, 3, 1, 1)), "graph.flip-kernel@*#*") == 0
    assert sites(convolution(np.ones((4, 3, 3, 3), "float32")), "graph.flip-kernel@*#*") == 0


def test_a_channel_without_weights_computes_zeros():
    mutated, _ = mutate(convolution(signed(4, 3, 3, 3)), "graph.zero-channel{channel=2}@main#0")
    result = run(mutated, signed(*IMAGE))
    assert [bool(result[0, channel].any()) for channel in range(4)] == [True, True, False, True]


@pytest.mark.parametrize(("kind", "levels"), [("int8", 255), ("int4", 15)])
def test_quantised_weights_lie_on_a_grid_and_move_by_half_a_step_at_most(kind: str, levels: int):
    values = signed(8, 3, 3, 3)
    mutated, _ = mutate(convolution(values), f"graph.quantise-weights{{type={kind}}}@main#0")
    step = np.abs(values).max() / (levels // 2)
    assert len(np.unique(weights_of(mutated))) <= levels
    assert np.abs(weights_of(mutated) - values).max() <= step * 0.501

"""Operators on layers and operands, and all graph operators, on small networks that are built and run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import (
    IMAGE,
    every_layer,
    golden,
    mutate,
    network,
    ops,
    positive,
    rarer_layers,
    repeated_layers,
    run,
    signed,
    sites,
)
from tvm import relax

from tvm_mutate.mutant import Category, Slot
from tvm_mutate.operators import builtin_catalogue

GRAPH_MUTANTS = [
    str(operator.mutation(variant))
    for operator in builtin_catalogue().values()
    if operator.slots == (Slot.GRAPH,) and operator.category is not Category.CANARY
    for variant in operator.all_variants()
]

SHAPE = (2, 3)
SUBTLE_OR_HUGE = ("graph.insert-cast", "graph.flip-weight-bit", "graph.quantise-weights", "graph.wrong-epsilon")


def of_one(function: Any, shape: tuple[int, ...] = SHAPE) -> tvm.IRModule:
    return network(shape, build=lambda builder, x: function(x))


def of_two(function: Any, *shapes: tuple[int, ...]) -> tvm.IRModule:
    return network(*shapes, build=lambda builder, x, y: function(x, y))


def product(*shapes: tuple[int, ...]) -> tvm.IRModule:
    return of_two(relax.op.matmul, *shapes)


def convolution(channels: int = 3, **attributes: object) -> tvm.IRModule:
    return of_one(lambda x: relax.op.nn.conv2d(x, relax.const(signed(channels, 3, 3, 3)), **attributes), IMAGE)


def sums() -> tvm.IRModule:
    def build(builder: relax.BlockBuilder, x: relax.Var) -> Any:
        for _ in range(3):
            x = builder.emit(relax.op.add(x, relax.op.nn.relu(x)))
        return x

    return network((2, 3), build=build)


@pytest.mark.parametrize("mutant", ["canary.negate-output@main#*", "graph.convert-layout@main#0", GRAPH_MUTANTS[0]])
def test_what_belongs_to_the_module_stays_with_it(mutant: str):
    module = every_layer()
    module.update_global_info("vdevice", [relax.VDevice("llvm")])
    mutated, (applied,) = mutate(module, mutant)
    assert applied.changed
    assert [str(each.target.kind) for each in mutated.global_infos["vdevice"]] == ["llvm"]


@pytest.mark.parametrize("mutant", GRAPH_MUTANTS)
def test_every_variant_is_well_formed_keeps_the_type_and_changes_the_output(mutant: str):
    layers = next(each for each in (every_layer, rarer_layers, repeated_layers) if sites(each(), mutant))
    mutated, (applied,) = mutate(layers(), mutant)
    assert applied.changed
    relax.analysis.well_formed(mutated)  # raises
    tvm.ir.assert_structural_equal(mutated["main"].ret_ty, layers()["main"].ret_ty)
    result = run(mutated, signed(*IMAGE))
    if mutant.startswith("graph.convert-layout"):
        np.testing.assert_allclose(result, golden(layers), rtol=1e-5, atol=1e-5)
    elif mutant.startswith(SUBTLE_OR_HUGE):
        assert result.tobytes() != golden(layers).tobytes()
    else:
        assert np.isfinite(result).all()
        assert np.abs(result - golden(layers)).max() > 1e-3


@pytest.mark.parametrize(
    ("data", "weights", "expected"),
    [((1, 64), (64, 10), 0), ((2, 3, 5), (5, 7), 0), ((1, 1, 5), (5, 4), 0), ((4, 4), (4, 1), 1)],
)
def test_a_transposition_needs_two_equal_dimensions_larger_than_one(
    data: tuple[int, ...], weights: tuple[int, ...], expected: int
):
    assert sites(product(data, weights), "graph.insert-transpose{before=matmul}@*#*") == expected


def test_a_transposition_prefers_the_trailing_axes():
    mutated, _ = mutate(product((2, 2, 3, 3), (3, 1)), "graph.insert-transpose{before=matmul}@*#*")
    assert [int(axis) for axis in mutated["main"].body.blocks[0].bindings[0].value.attrs.axes] == [0, 1, 3, 2]


def test_a_symbolic_shape_and_the_statistics_of_a_batch_norm_are_no_transposition_sites():
    size = tvm.tirx.Var("n", "int64")
    assert sites(product((size, size), (size, 4)), "graph.insert-transpose{before=matmul}@*#*") == 0
    assert sites(every_layer(), "graph.insert-transpose{before=batch-norm,argument=1}@*#*") == 0


def test_weights_that_are_constants_are_transposed_for_every_later_node():
    mutated, _ = mutate(every_layer(), "graph.insert-transpose{before=conv2d-matmul,argument=1}@*#*")
    assert ops(mutated).count("permute_dims") == 2


@pytest.mark.parametrize(("chosen", "expected"), [("1", (1,)), ("0-1", (0, 1)), ("*", (0, 1, 2))])
def test_just_the_chosen_sites_are_rewritten(chosen: str, expected: tuple[int, ...]):
    mutated, (applied,) = mutate(sums(), f"graph.replace-arithmetic{{from=add,to=subtract}}@main#{chosen}")
    assert applied.sites == expected
    arithmetic = [op for op in ops(mutated) if op != "relu"]
    assert [i for i, op in enumerate(arithmetic) if op == "subtract"] == list(expected)


def test_ordinals_of_a_higher_order_mutant_do_not_depend_on_each_other():
    first, second = (
        "graph.replace-arithmetic{from=add,to=subtract}@main#0-1",
        "graph.replace-arithmetic{to=add,from=subtract}@main#0",
    )
    mutated, report = mutate(sums(), "graph.replace-activation{to=tanh}@main#1+" + first)
    assert ops(mutated) == ["relu", "subtract", "tanh", "subtract", "relu", "add"]
    assert [applied.sites for applied in report] == [(1,), (0, 1)]
    assert mutate(sums(), first + "+" + second)[1][1].found == 0  # the subtractions are not the model's own


def test_two_mutations_of_one_call_are_both_applied():
    one, other = "graph.insert-transpose{before=matmul}@main#0", "graph.insert-unary{at=matmul}@main#0"
    mutated, report = mutate(product((2, 2), (2, 3)), f"{one}+{other}")
    assert ops(mutated) == ["permute_dims", "exp", "matmul"]
    assert all(applied.sites == (0,) for applied in report)


def test_an_activation_replaced_by_identity_is_gone_even_as_the_last_node():
    module = of_one(relax.op.nn.relu)
    mutated, _ = mutate(module, "graph.replace-activation{to=identity}@main#*")
    assert ops(mutated) == []
    data = signed(2, 3)
    assert run(mutated, data).tobytes() == data.tobytes()


def test_a_network_without_convolutions_has_no_layout_to_convert():
    assert sites(product((4, 4), (4, 4)), "graph.convert-layout@*#*") == 0
    assert sites(every_layer(), "graph.convert-layout@*#*") == 1


@settings(max_examples=15, derandomize=True)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.integers(1, 4))
def test_transposing_twice_restores_the_values(data: list[int], columns: int):
    shape, weights, mutant = tuple(data), (data[-1], columns), "graph.insert-transpose{before=matmul}@*#*"
    module = product(shape, weights)
    large = [size for size in data if size > 1]
    if len(set(large)) == len(large):
        assert sites(module, mutant) == 0
        return
    twice = mutate(mutate(module, mutant)[0], mutant)[0]
    assert ops(twice) == ["permute_dims", "permute_dims", "matmul"]
    inputs = signed(*shape), signed(*weights)
    assert run(twice, *inputs).tobytes() == run(module, *inputs).tobytes()


@settings(max_examples=20, derandomize=True)
@given(st.sampled_from(["subtract", "multiply", "divide"]), st.sampled_from(["0", "1", "2", "0-1", "1-2", "*"]))
def test_replacing_there_and_back_restores_the_graph(to: str, chosen: str):
    there = mutate(sums(), f"graph.replace-arithmetic{{from=add,to={to}}}@main#{chosen}")[0]
    assert not tvm_ffi.structural_equal(there, sums())
    back = mutate(there, f"graph.replace-arithmetic{{from={to},to=add}}@main#*")[0]
    tvm.ir.assert_structural_equal(back, sums())


def test_negating_the_data_of_a_linear_layer_negates_its_output():
    module = convolution(4, padding=1)
    before, after = (
        mutate(module, f"graph.insert-unary{{function=negative,position={side},at=conv2d}}@main#0")[0]
        for side in ("before", "after")
    )
    np.testing.assert_array_equal(run(before, signed(*IMAGE)), run(after, signed(*IMAGE)))


def test_a_layer_whose_output_has_another_type_than_its_data_is_neither_dropped_nor_repeated():
    for mutant in ("graph.drop-layer{kind=linear}@*#*", "graph.repeat-layer{kind=linear}@*#*"):
        assert sites(convolution(), mutant) == 0
        assert sites(convolution(padding=1), mutant) == 1


def test_an_activation_that_does_nothing_the_second_time_is_dropped_but_not_repeated():
    module = of_one(relax.op.nn.relu)
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


def test_parts_of_different_shapes_change_places_but_none_takes_the_place_of_another():
    module = of_two(lambda x, y: relax.op.concat([x, y], axis=1), SHAPE, (2, 4))
    assert sites(module, "graph.swap-operands{at=concat}@*#*") == 1
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


def test_a_cast_rounds_to_the_narrower_type():
    module = of_one(relax.op.nn.relu, IMAGE)
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

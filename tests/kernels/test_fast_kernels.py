from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tvm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tvm import relax, s_tir, tirx
from tvm.script import tirx as T  # noqa: N812
from tvm.target import Target

from tvm_mutate.kernels import agrees, contracts, fast_schedule, fast_target
from tvm_mutate.kernels.fast_check import perturbed
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline import Stages, generate, kernels_of

BASELINE = Target("llvm")
WITH_FMA = Target({"kind": "llvm", "mcpu": "x86-64-v3"})

pytestmark = pytest.mark.skipif(fast_target(WITH_FMA) is None, reason="needs an x86-64 processor with FMA")


def kernels(module: tvm.IRModule, target: Target) -> Iterator[tirx.PrimFunc]:
    yield from kernels_of(Stages(module, target).at(Slot.KERNEL)).functions.values()


def compiled(function: tirx.PrimFunc, target: Target) -> Callable[..., Any]:
    return generate(tvm.IRModule({"kernel": function.with_attr("global_symbol", "kernel")}), target)["kernel"]


def random_inputs(function: tirx.PrimFunc, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [
        generator.standard_normal([int(size) for size in each.ty.shape]).astype(str(each.ty.dtype))
        for each in function.params[:-1]
    ]


def agree(function: tirx.PrimFunc, other: tirx.PrimFunc, target: Target) -> bool:
    output = function.params[-1].ty
    shape = [int(size) for size in output.shape]
    fast = compiled(other, fast_target(target))
    return agrees(compiled(function, target), fast, random_inputs(function), shape, str(output.dtype))


def network(operator: Callable[[Any], Any], shape: list[int]) -> tvm.IRModule:
    builder = relax.BlockBuilder()
    image = relax.Var("image", relax.TensorType(shape, "float32"))
    with builder.function("main", [image]):
        with builder.dataflow():
            output = builder.emit_output(operator(image))
        builder.emit_func_output(output)
    return builder.get()


def convolution(channels: int, filters: int, size: int, kernel: int, stride: int, padding: int, groups: int) -> Any:
    weights = np.random.default_rng(1).standard_normal([filters, channels // groups, kernel, kernel])

    def operator(image: Any) -> Any:
        sums = relax.op.nn.conv2d(
            image, relax.const(weights.astype("float32")), strides=stride, padding=padding, groups=groups
        )
        return relax.op.nn.relu(relax.op.multiply(sums, relax.const(np.float32(0.3))))

    return network(operator, [1, channels, size, size])


@pytest.mark.parametrize("target", [BASELINE, WITH_FMA], ids=["baseline", "fma"])
@pytest.mark.parametrize("name", ["zoo://shufflenetv2", "zoo://efficientnet_lite"])
def test_every_kernel_of_a_network_keeps_its_bits(name: str, target: Target):
    scheduled = 0
    for function in kernels(load_model(name).module, target):
        fast = fast_schedule(function, contraction=contracts(target))
        if fast is not None:
            scheduled += 1
            assert agree(function, fast, target), function.script()
    assert scheduled >= 10


@settings(max_examples=40)
@given(
    groups=st.sampled_from([1, 1, 1, 2, 3]),
    depth=st.integers(1, 9),
    filters=st.integers(1, 12),
    size=st.integers(1, 17),
    kernel=st.sampled_from([1, 1, 2, 3, 5]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    depthwise=st.booleans(),
    target=st.sampled_from([BASELINE, WITH_FMA]),
)
def test_a_convolution_of_any_shape_keeps_its_bits(
    groups: int,
    depth: int,
    filters: int,
    size: int,
    kernel: int,
    stride: int,
    padding: int,
    depthwise: bool,
    target: Target,
):
    assume(size + 2 * padding >= kernel)
    channels = depth * groups
    module = convolution(
        channels,
        channels if depthwise else filters * groups,
        size,
        kernel,
        stride,
        padding,
        channels if depthwise else groups,
    )
    for function in kernels(module, target):
        fast = fast_schedule(function, contraction=contracts(target))
        assert fast is None or agree(function, fast, target)


@pytest.mark.parametrize(
    "operator",
    [
        lambda image: relax.op.nn.max_pool2d(image, [3, 3], strides=[2, 2], padding=[1, 1]),
        lambda image: relax.op.nn.avg_pool2d(image, [2, 2], strides=[2, 2]),
        lambda image: relax.op.nn.softmax(image, axis=1),
        lambda image: relax.op.mean(image, [2, 3]),
        lambda image: relax.op.permute_dims(relax.op.nn.relu(image), [0, 2, 3, 1]),
        lambda image: relax.op.multiply(image, relax.op.sigmoid(image)),
        lambda image: relax.op.concat([image, relax.op.exp(image)], axis=3),
    ],
    ids=["max-pool", "avg-pool", "softmax", "mean", "transpose", "swish", "concat"],
)
def test_other_operators_keep_their_bits(operator: Callable[[Any], Any]):
    for function in kernels(network(operator, [1, 12, 14, 14]), BASELINE):
        fast = fast_schedule(function)
        assert fast is None or agree(function, fast, BASELINE)


def test_a_pointwise_convolution_over_an_odd_number_of_pixels_fills_whole_vectors():
    (function,) = kernels(convolution(16, 16, 7, 1, 1, 0, 1), BASELINE)
    assert "T.int64(56)" in str(fast_schedule(function).script())


@pytest.mark.parametrize("size", [5, 7, 8, 14])
def test_a_convolution_without_a_consumer_keeps_its_bits(size: int):
    weights = relax.const(np.random.default_rng(2).standard_normal([16, 16, 1, 1]).astype("float32"))
    (function,) = kernels(network(lambda image: relax.op.nn.conv2d(image, weights), [1, 16, size, size]), BASELINE)
    fast = fast_schedule(function)
    assert fast is not None
    assert agree(function, fast, BASELINE)


def test_a_reduction_in_another_order_is_noticed():
    (function,) = kernels(convolution(16, 16, 8, 3, 1, 1, 1), BASELINE)
    schedule = s_tir.Schedule(s_tir.renew_defs(function).with_attr("global_symbol", "main"))
    channel, row, column = schedule.get_loops(schedule.get_sblock("conv2d_nchw"))[-3:]
    schedule.reorder(column, row, channel)
    assert not agree(function, schedule.mod["main"], BASELINE)


@pytest.mark.parametrize("size", [7, 8, 14])
def test_scheduling_does_not_change_the_given_kernel(size: int):
    for kernel in (1, 3):
        (function,) = kernels(convolution(16, 16, size, kernel, 1, kernel // 2, 1), BASELINE)
        before = function.script()
        assert fast_schedule(function) is not None
        assert function.script() == before


def test_a_kernel_that_forgets_elements_is_noticed():
    def plain(image: Any, output: Any) -> None:
        output.copyfrom(image.numpy())

    def forgetful(image: Any, output: Any) -> None:
        result = image.numpy()
        result[-1] = output.numpy()[-1]
        output.copyfrom(result)

    image = [np.ones((4, 4), np.float32)]
    assert agrees(plain, plain, image, (4, 4), "float32")
    assert not agrees(plain, forgetful, image, (4, 4), "float32")


def test_a_kernel_that_takes_minus_zero_for_zero_is_noticed():
    def plain(image: Any, output: Any) -> None:
        output.copyfrom(image.numpy())

    def careless(image: Any, output: Any) -> None:
        output.copyfrom(image.numpy() + np.float32(0))

    assert not agrees(plain, careless, [np.ones((40, 40), np.float32)], (40, 40), "float32")


def test_inputs_are_perturbed_the_same_way_every_time_and_integers_are_left_alone():
    inputs = [np.linspace(-1, 1, 3000, dtype=np.float32), np.arange(10)]
    first, second = list(perturbed(inputs)), list(perturbed(inputs))
    assert [[each.tobytes() for each in row] for row in first] == [[each.tobytes() for each in row] for row in second]
    assert all(np.array_equal(row[1], inputs[1]) for row in first)
    values = np.concatenate([row[0] for row in first])
    assert np.isnan(values).any() and np.isinf(values).any()
    assert (np.signbit(values) & (values == 0)).any()
    assert ((values != 0) & (np.abs(values) < np.finfo(np.float32).smallest_normal)).any()


@T.prim_func(private=True, s_tir=True)
def scheduled_already(a: T.Buffer((64,), "float32"), b: T.Buffer((64,), "float32")):
    for outer, inner in T.grid(8, 8):
        with T.sblock("copy"):
            at = T.axis.spatial(64, outer * 8 + inner)
            b[at] = a[at] + T.float32(1)


@T.prim_func(private=True, s_tir=True)
def without_blocks(a: T.Buffer((64,), "float32"), b: T.Buffer((64,), "float32")):
    for at in range(64):
        b[at] = a[at] + T.float32(1)


@T.prim_func(private=True, s_tir=True)
def single_element(a: T.Buffer((1,), "float32"), b: T.Buffer((1,), "float32")):
    for i in range(1):
        with T.sblock("copy"):
            at = T.axis.spatial(1, i)
            b[at] = a[at] + T.float32(1)


@pytest.mark.parametrize("function", [scheduled_already, without_blocks, single_element])
def test_a_kernel_without_a_better_schedule_gives_none(function: tirx.PrimFunc):
    assert fast_schedule(function) is None


def test_the_fast_target_contracts_like_the_device_under_test():
    for plain in (BASELINE, Target("c"), Target({"kind": "llvm", "mcpu": "x86-64-v2"})):
        assert not contracts(plain)
        assert not contracts(fast_target(plain))
    assert contracts(WITH_FMA)
    assert contracts(fast_target(WITH_FMA))
    assert not contracts(Target({"kind": "llvm", "mcpu": "x86-64-v3", "mattr": ["-fma"]}))


@pytest.mark.parametrize(
    "target",
    [
        Target({"kind": "llvm", "fast-math": True}),
        Target({"kind": "llvm", "fast-math-contract": True}),
        Target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mattr": ["+neon"]}),
        Target({"kind": "cuda", "arch": "sm_50"}),
    ],
    ids=["fast-math", "fast-math-contract", "aarch64", "cuda"],
)
def test_targets_whose_bits_cannot_be_kept_have_no_fast_target(target: Target):
    assert fast_target(target) is None

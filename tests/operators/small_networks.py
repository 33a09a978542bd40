"""Small networks that tests build, lower and run on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.target import Target

from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Applied, Selection, apply_mutations, count_all_sites
from tvm_mutate.pipeline import LoweringCache

IMAGE = (1, 3, 8, 8)
UNOPTIMISED = Target({"kind": "llvm", "opt-level": 0})  # same bits as "llvm", compiled twelve times as fast


def positive(*shape: int) -> np.ndarray:
    """Numbers away from zero, the same for the same shape."""
    return np.random.default_rng(len(shape)).uniform(0.5, 1.5, shape).astype("float32")


def signed(*shape: int) -> np.ndarray:
    """Numbers of both signs, the same for the same shape."""
    return np.random.default_rng(sum(shape)).normal(0, 0.5, shape).astype("float32")


def network(*shapes: tuple[int, ...], build: Any) -> tvm.IRModule:
    """A module whose ``main`` takes float32 tensors and returns what ``build`` makes of them."""
    builder = relax.BlockBuilder()
    inputs = [relax.Var(f"x{i}", relax.TensorType(shape, "float32")) for i, shape in enumerate(shapes)]
    with builder.function("main", inputs):
        with builder.dataflow():
            result = builder.emit_output(build(builder, *inputs))
        builder.emit_func_output(result)
    return builder.get()


@functools.cache
def every_layer() -> tvm.IRModule:
    """A network of the layers of image networks; with the next two every variant of every operator has a site."""

    def build(builder: relax.BlockBuilder, image: relax.Var) -> Any:
        nn, const = relax.op.nn, relax.const
        value = builder.emit(nn.conv2d(image, const(signed(4, 3, 3, 3)), padding=1))
        statistics = [const(positive(4) + offset) for offset in (0.25, 0, 1, 0.5)]
        value = builder.emit(nn.batch_norm(value, *statistics, axis=1, training=False))
        value = builder.emit(nn.relu(builder.emit(relax.TupleGetItem(value, 0))))
        value = builder.emit(nn.max_pool2d(value, (3, 3), padding=1))
        value = builder.emit(nn.avg_pool2d(value, (3, 3), padding=1))
        value = builder.emit(relax.op.clip(value, 0.125, 1.0))
        for function in (relax.op.add, relax.op.subtract, relax.op.multiply, relax.op.divide):
            value = builder.emit(function(value, const(positive(4, 1, 1))))
        value = builder.emit(relax.op.reshape(value, (1, 16, 16)))
        return relax.op.matmul(value, const(signed(16, 16)))

    return network(IMAGE, build=build)


@functools.cache
def rarer_layers() -> tvm.IRModule:
    """A network of what the first one lacks: branches, choices, resized images, reductions and softmax."""

    def build(builder: relax.BlockBuilder, image: relax.Var) -> Any:
        op, emit = relax.op, builder.emit
        value = emit(op.nn.leakyrelu(image, 0.1))
        value = emit(op.image.resize2d(value, (13, 13), coordinate_transformation_mode="asymmetric"))
        value = emit(op.image.resize2d(value, (8, 8), method="nearest_neighbor"))
        branch = emit(op.sigmoid(value))
        value = emit(op.concat([emit(op.add(value, branch)), branch], axis=1))
        parts = emit(op.split(value, 3, axis=1))
        one, other = (emit(relax.TupleGetItem(parts, index)) for index in range(2))
        positive_one = emit(op.sigmoid(one))
        value = emit(op.subtract(one, other))
        value = emit(op.where(emit(op.less(one, other)), value, one))
        value = emit(op.add(value, emit(op.power(positive_one, emit(op.sigmoid(other))))))
        value = emit(op.divide(value, positive_one))
        value = emit(op.permute_dims(emit(op.reshape(value, (1, 8, 16))), [0, 2, 1]))
        value = emit(op.reshape(emit(op.nn.softmax(value, axis=-1)), (1, 2, 8, 8)))
        reduced = [emit(function(value, [3])) for function in (op.mean, op.max, op.sum, op.min)]
        return functools.reduce(lambda a, b: emit(op.add(a, b)), reduced)

    return network(IMAGE, build=build)


@functools.cache
def repeated_layers() -> tvm.IRModule:
    """A network of what neither has: layers with constants of the same shape, pairs of inverses, scaled sums."""

    def build(builder: relax.BlockBuilder, image: relax.Var) -> Any:
        op, emit, const = relax.op, builder.emit, relax.const
        value = image
        for number in range(1, 3):
            value = emit(op.matmul(value, const(signed(8, 8) * number)))
            value = emit(op.add(value, const(signed(8) * number)))
            statistics = [const(positive(3) * number) for _ in range(4)]
            value = emit(op.nn.batch_norm(value, *statistics, axis=1, training=False))
            value = emit(relax.TupleGetItem(value, 0))
        value = emit(op.sqrt(emit(op.square(emit(op.flip(value, axis=2))))))
        value = emit(op.astype(emit(op.astype(value, "int32")), "float32"))
        quantised = emit(op.quantize(value, const(np.float32(0.125)), const(np.int8(0)), axis=-1, out_dtype="int8"))
        value = emit(op.dequantize(quantised, const(np.float32(0.125)), const(np.int8(0)), axis=-1))
        value = emit(op.multiply(emit(op.add(value, const(positive(8)))), const(np.float32(3.0))))
        value = emit(op.abs(emit(op.subtract(image, value))))
        return op.multiply(const(positive(1)), emit(op.multiply(image, value)))

    return network(IMAGE, build=build)


@functools.cache
def golden(layers: Callable[[], tvm.IRModule]) -> np.ndarray:
    """What a network gives for the image ``signed(*IMAGE)``."""
    return run(layers(), signed(*IMAGE))


_CACHE = LoweringCache()


def lower(module: tvm.IRModule) -> tvm.IRModule:
    passes = [relax.transform.DecomposeOpsForInference(), relax.get_pipeline("zero")]
    with _CACHE.folding():
        return tvm.transform.Sequential(passes)(module)


def run(module: tvm.IRModule, *inputs: np.ndarray) -> np.ndarray:
    return Compiled(lower(module))(*inputs).numpy()


class Compiled:
    """A lowered module compiled for the CPU: its LLVM IR, and its outputs for inputs."""

    def __init__(self, lowered: tvm.IRModule, target: Target = UNOPTIMISED) -> None:
        executable = tvm.compile(lowered, target)
        self.source = executable.mod.imports[0].inspect_source("ll")
        self.machine = relax.VirtualMachine(executable, tvm.cpu())

    def __call__(self, *inputs: np.ndarray) -> Any:
        return self.machine["main"](*map(tvm.runtime.tensor, inputs))


def mutate(module: tvm.IRModule, mutant: str) -> tuple[tvm.IRModule, list[Applied]]:
    selections = [Selection.resolve(each, builtin_catalogue()) for each in builtin_catalogue().parse(mutant).mutations]
    return apply_mutations(module, selections)


def sites(module: tvm.IRModule, mutant: str) -> int:
    (mutation,) = builtin_catalogue().parse(mutant).mutations
    return sum(count_all_sites(module, [Selection.resolve(mutation, builtin_catalogue())])[0].values())


def ops(module: tvm.IRModule) -> list[str]:
    bindings = [binding for block in module["main"].body.blocks for binding in block.bindings]
    return [b.value.op.name.rpartition(".")[2] for b in bindings if isinstance(b.value, relax.Call)]

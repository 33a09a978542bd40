"""Fast kernels against plain ones: time, bits and compile time of every kernel of a network.

Run from the repository's root, on an idle machine: `python benchmarks/fast_kernels.py zoo://resnet mobilenetv2.onnx`.
"""

from __future__ import annotations

import os

os.environ["TVM_NUM_THREADS"] = "1"

import collections
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
import tvm
from measuring.machine import processor
from tvm import relax, tirx
from tvm.target import Target

from tvm_mutate.kernels import agrees, contracts, fast_schedule, fast_target
from tvm_mutate.kernels.fast_check import perturbed
from tvm_mutate.kernels.target import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline import Stages, generate, kernels_of

Kernel = Callable[..., Any]
MOST_RUNS = 40


@dataclass(frozen=True)
class Row:
    """One kernel of a network; times in milliseconds."""

    name: str
    calls: int
    scheduled: bool
    different: int
    agrees: bool
    plain: float
    fast: float
    plain_build: float
    fast_build: float
    schedule: float


def kernels_and_calls(module: tvm.IRModule) -> Iterator[tuple[str, tirx.PrimFunc, int]]:
    """The distinct kernels of a module after the Relax pipeline, and how often `main` calls each."""
    calls: collections.Counter[str] = collections.Counter()

    def note(node: Any) -> None:
        if isinstance(node, relax.Call) and isinstance(node.op, tvm.ir.Op) and node.op.name == "relax.call_tir":
            calls[node.args[0].name_hint] += 1

    relax.analysis.post_order_visit(module["main"], note)
    for variable, function in kernels_of(module).functions.items():
        yield variable.name_hint, function, calls[variable.name_hint]


def built(function: tirx.PrimFunc, target: Target) -> tuple[Kernel, float]:
    start = time.perf_counter()
    kernel = generate(tvm.IRModule({"kernel": function.with_attr("global_symbol", "kernel")}), target)["kernel"]
    return kernel, 1e3 * (time.perf_counter() - start)


def side_by_side(kernels: list[Kernel], arguments: list[Any], seconds: float) -> list[float]:
    """The median milliseconds of each kernel, run in turns."""
    times: list[list[float]] = [[] for _ in kernels]
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or (time.perf_counter() < end and len(times[0]) < MOST_RUNS):
        for kernel, own in zip(kernels, times, strict=True):
            kernel(*arguments)  # warms the caches, which the other kernel has used
            start = time.perf_counter()
            kernel(*arguments)
            own.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(own) for own in times]


def different_elements(plain: Kernel, fast: Kernel, inputs: list[np.ndarray], output: np.ndarray) -> int:
    """How many elements differ in any bit, over the inputs as they are and perturbed."""
    different = 0
    for each in perturbed(inputs):
        results = []
        for kernel in (plain, fast):
            tensor = tvm.runtime.tensor(np.zeros_like(output))
            kernel(*(tvm.runtime.tensor(array) for array in each), tensor)
            results.append(tensor.numpy().reshape(-1).view(np.uint8).reshape(output.size, -1))
        different += int((results[0] != results[1]).any(axis=1).sum())
    return different


def measured(name: str, function: tirx.PrimFunc, calls: int, target: Target, seconds: float) -> Row:
    generator = np.random.default_rng(0)
    *inputs, output = [
        generator.standard_normal([int(size) for size in each.ty.shape]).astype(str(each.ty.dtype))
        for each in function.params
    ]
    start = time.perf_counter()
    scheduled = fast_schedule(function, contraction=contracts(target))
    schedule_time = 1e3 * (time.perf_counter() - start)
    plain, plain_build = built(function, target)
    fast, fast_build = built(scheduled, fast_target(target)) if scheduled is not None else (plain, plain_build)
    different = different_elements(plain, fast, inputs, output)
    same = agrees(plain, fast, inputs, output.shape, str(output.dtype))
    arguments = [tvm.runtime.tensor(each) for each in (*inputs, output)]
    times = side_by_side([plain, fast], arguments, seconds)
    return Row(name, calls, scheduled is not None, different, same, *times, plain_build, fast_build, schedule_time)


def summary(model: str, rows: list[Row]) -> str:
    plain = sum(row.calls * row.plain for row in rows)
    fast = sum(row.calls * row.fast for row in rows)
    builds = [row.fast_build for row in rows]
    return (
        f"{model}: {len(rows)} kernels, {sum(row.calls for row in rows)} calls, "
        f"{sum(not row.scheduled for row in rows)} left plain, "
        f"{sum(row.different for row in rows)} different elements, {sum(not row.agrees for row in rows)} refused\n"
        f"  run {plain:.2f} -> {fast:.2f} ms, {plain / fast:.1f}x\n"
        f"  build {statistics.median(row.plain_build for row in rows):.0f} -> {statistics.median(builds):.0f} ms "
        f"in the median, fast 90 % within {np.percentile(builds, 90):.0f}, all within {max(builds):.0f}; "
        f"schedule {statistics.median(row.schedule for row in rows):.0f} ms"
    )


def line(row: Row) -> str:
    return (
        f"  {row.name[:60]:60} {row.calls:3} x {row.plain:8.3f} -> {row.fast:7.3f} ms {row.plain / row.fast:6.1f}x"
        f"  build {row.plain_build:4.0f} -> {row.fast_build:4.0f} ms  {row.different} different"
    )


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--target", "target_text", default="llvm", show_default=True, help="The device under test.")
@click.option("--seconds", default=0.2, show_default=True, help="How long each pair of kernels is run.")
@click.option("--every", is_flag=True, help="A line for every kernel, the costliest first.")
def main(models: tuple[str, ...], target_text: str, seconds: float, every: bool) -> None:
    """Times the kernels of MODELS, plain and fast, side by side, and compares their bits."""
    target = parse_target(target_text)
    click.echo(f"{processor()}; target {target_text}; fast target {fast_target(target)}")
    if fast_target(target) is None:
        raise click.ClickException("this target has no fast kernels")
    for model in models:
        module = Stages(load_model(model).module, target).at(Slot.KERNEL)
        rows = [measured(*kernel, target, seconds) for kernel in kernels_and_calls(module)]
        for row in sorted(rows, key=lambda row: -row.calls * row.fast) if every else ():
            click.echo(line(row))
        click.echo(summary(model, rows))


if __name__ == "__main__":
    main()

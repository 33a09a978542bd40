"""Switchable kernels against a build for each mutant: sites, times, bits with all sites off and with one on.

Run from the repository's root, on an idle machine:
`python benchmarks/switchable.py zoo://mobilenetv2 models/cifar10_resnet20.onnx=images`.
"""

from __future__ import annotations

import os

os.environ["TVM_NUM_THREADS"] = "1"

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import tvm
from measuring.campaigns import Subject
from measuring.output import begin, end, json_option, listed, say, table

from tvm_mutate.device import run_isolated
from tvm_mutate.evaluate.fast_library import first_calls
from tvm_mutate.evaluate.golden import run_steps
from tvm_mutate.evaluate.red_zones import Arena
from tvm_mutate.evaluate.workspace import Workspace, temporary_sizes
from tvm_mutate.kernels import Kernel, agrees, build_batch, parse_target
from tvm_mutate.model import load_inputs, load_model
from tvm_mutate.mutant import Sites, Slot, TirRule
from tvm_mutate.native import NO_SITE, activate_site
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, apply_mutations, count_sites, switchable
from tvm_mutate.pipeline import Stages
from tvm_mutate.program import KernelCall, Program, take_program

CATALOGUE = builtin_catalogue()
MOST_SECONDS = 600.0
RUNS = 5
HEAD = ("kernels", "mutants", "guarded", "exact", "build s", "separate s", "times", "off/plain", "on/own", "off equal",
        "on equal", "breaks even at", "pays in")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One kernel. Builds are in seconds, runs in milliseconds; ``own`` is what separate builds take, in the mean.

    ``guarded`` counts mutants that can be switched at all, ``exact`` those that are then bit for bit their own builds,
    ``different`` sampled ones that were not.
    """

    name: str
    mutants: int
    guarded: int
    exact: int
    reasons: Mapping[str, int]
    build: float
    own_build: float
    plain: float
    off: float
    on: float
    own: float
    off_equal: bool
    sampled: int
    different: tuple[str, ...]

    def breaks_even(self, inputs: int) -> float:
        """With how many mutants a switchable build begins to take less time than separate ones."""
        # The first input is run under three patterns.
        saved = self.own_build - (inputs + 2) * (self.on - self.own) / 1e3
        return self.build / saved if saved > 0 else float("inf")


@dataclass(frozen=True)
class Place:
    """Where kernels of one model are measured: what they are compiled for, and the values that they get."""

    program: Program
    target: tvm.target.Target
    values: Mapping[int, np.ndarray]
    folder: Path

    def build(self, name: str, function: Any) -> tuple[Kernel, float]:
        """A kernel in machine code, and the seconds that took."""
        own = Path(tempfile.mkdtemp(dir=self.folder))
        start = time.perf_counter()
        kernel = build_batch({name: function}, self.target, own)[name]
        _ = kernel.run
        return kernel, time.perf_counter() - start

    def arguments(self, call: KernelCall) -> list[np.ndarray]:
        """The golden arguments of a call."""
        return [self.values[number] for number in call.arguments]


def single_sites(program: Program, name: str) -> list[Selection]:
    """All mutants of one site of a kernel that a campaign takes without being asked."""
    module = tvm.IRModule({name: program.kernels[name]})
    found = []
    for operator in CATALOGUE.select(["default"]):
        if isinstance(operator.rule, TirRule) and Slot.KERNEL in operator.slots:
            for variant in operator.variants:
                mutation = operator.mutation(variant, Slot.KERNEL)
                count = count_sites(module, Selection.resolve(mutation, CATALOGUE)).get(name, 0)
                sites = [mutation.at(name, Sites(site, site)) for site in range(count)]
                found += [Selection.resolve(each, CATALOGUE) for each in sites]
    return found


def fastest(run: Callable[[], float]) -> float:
    """The milliseconds of the fastest of some runs."""
    return 1e3 * min(run() for _ in range(RUNS))


def timed(kernel: Kernel, tensors: Sequence[Any]) -> float:
    start = time.perf_counter()
    kernel.run(*tensors)
    return time.perf_counter() - start


def measured(place: Place, call: KernelCall, sample: int, generator: np.random.Generator) -> Row:
    """One kernel, measured; the mutants of the sample are built and run both ways."""
    name, function = call.kernel, place.program.kernels[call.kernel]
    selections = single_sites(place.program, name)
    guarded = len(switchable(function, name, selections).numbers)
    start = time.perf_counter()
    made = switchable(function, name, selections, values_only=True)
    rewritten = time.perf_counter() - start
    switched, build = place.build(name, made.function)
    plain, _ = place.build(name, function)
    kind, arguments = place.program.types[call.results[0]], place.arguments(call)
    tensors = [tvm.runtime.tensor(each) for each in (*arguments, np.zeros(kind.shape, kind.dtype))]
    times = [fastest(lambda kernel=kernel: timed(kernel, tensors)) for kernel in (plain, switched)]
    types = [place.program.types[each] for each in call.arguments]
    arena = Arena(types, [kind], Workspace(), temporary_sizes(function))
    chosen = generator.permutation(list(made.numbers))[:sample]
    own_builds, owns, ons, different = [], [], [], []
    for position in map(int, chosen):
        mutant = selections[position]
        mutated = apply_mutations(tvm.IRModule({name: function}), [mutant])[0][name]
        own, seconds = place.build(name, mutated)
        own_builds.append(seconds)
        results = []
        for kernel, number, milliseconds in ((own, NO_SITE, owns), (switched, made.numbers[position], ons)):
            activate_site(number)
            (result,), undefined = arena.run(kernel, arguments, thoroughly=True)
            results.append((result.tobytes(), undefined))
            milliseconds.append(fastest(lambda kernel=kernel: timed(kernel, tensors)))
        activate_site(NO_SITE)
        if results[0] != results[1]:
            different.append(str(mutant.mutation))
    return Row(
        name,
        len(selections),
        guarded,
        len(made.numbers),
        dict(Counter(made.refused.values())),
        rewritten + build,
        statistics.mean(own_builds) if own_builds else 0.0,
        *times,
        statistics.mean(ons) if ons else 0.0,
        statistics.mean(owns) if owns else 0.0,
        agrees(plain.run, switched.run, arguments, kind.shape, kind.dtype),
        len(chosen),
        tuple(different),
    )


def rows_of(subject: Subject, target_text: str, sample: int, folder: Path, seed: int) -> list[Row]:
    """The kernels of a model, each measured in a process of its own."""
    target = parse_target(target_text)
    model = load_model(subject.model)
    data = load_inputs(subject.images or "zoo://digits", model, limit=1).data
    program = take_program(Stages(model.module, target).at(Slot.KERNEL))
    rows = []
    values = run_steps(program, build_batch(program.kernels, target, folder / "plain"), data[0])
    for number, call in enumerate(each for each in first_calls(program) if len(each.results) == 1):
        place, generator = Place(program, target, values, folder), np.random.default_rng([seed, number])
        task = lambda _stage, call=call, place=place, generator=generator: measured(place, call, sample, generator)  # noqa: E731
        ending = run_isolated(task, MOST_SECONDS)
        if isinstance(ending.value, Row):
            rows.append(ending.value)
        else:
            say(f"  {call.kernel}: {ending.kind} {ending.reason}")
    return rows


def summary(rows: Sequence[Row], inputs: int) -> tuple[Any, ...]:
    """The figures of a model in one line; builds and runs are of all kernels together."""
    separate = sum(row.exact * row.own_build for row in rows)
    build, sampled = sum(row.build for row in rows), sum(row.sampled for row in rows)
    return (
        len(rows),
        sum(row.mutants for row in rows),
        sum(row.guarded for row in rows),
        sum(row.exact for row in rows),
        build,
        separate,
        separate / max(build, 1e-9),
        sum(row.off for row in rows) / sum(row.plain for row in rows),
        sum(row.on for row in rows) / max(sum(row.own for row in rows), 1e-9),
        f"{sum(row.off_equal for row in rows)}/{len(rows)}",
        f"{sampled - sum(len(row.different) for row in rows)}/{sampled}",
        statistics.median(row.breaks_even(inputs) for row in rows if row.own_build),
        f"{sum(row.breaks_even(inputs) < row.exact for row in rows)}/{len(rows)}",
    )


@click.command()
@click.argument("models", nargs=-1, required=True)
@click.option("--target", default="llvm", show_default=True, help="The device under test.")
@click.option("--sample", default=6, show_default=True, help="Mutants of each kernel that are also built separately.")
@click.option("--inputs", default=10, show_default=True, help="Inputs of a campaign, for where it breaks even.")
@click.option("--seed", default=0, show_default=True, help="Seed of the sample.")
@json_option
def main(models: tuple[str, ...], target: str, sample: int, inputs: int, seed: int, json_file: str | None) -> None:
    """Sets one switchable build of each kernel of MODELS against a build for each of its mutants."""
    report = begin("switchable")
    lines, models_report = [], []
    for subject in map(Subject.parse, models):
        with tempfile.TemporaryDirectory() as folder:
            rows = rows_of(subject, target, sample, Path(folder), seed)
        lines.append((subject.name, *summary(rows, inputs)))
        reasons: Counter[str] = sum((Counter(row.reasons) for row in rows), Counter())
        say(listed(f"{subject.name}, not switched", [f"{count} {reason}" for reason, count in reasons.most_common()]))
        say(listed("different from their own builds", [each for row in rows for each in row.different]))
        models_report.append({"model": subject.name, "rows": [vars(row) for row in rows]})
    say(table(("model", *HEAD), lines))
    end({**report, "models": models_report}, json_file)


if __name__ == "__main__":
    main()

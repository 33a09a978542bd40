"""Campaigns on a GPU: verdicts, barriers left out, illegal accesses among other mutants, and how busy the GPU is.

Run from the repository's root on a machine with a GPU for CUDA, on which nothing else runs, with the package installed
or on PYTHONPATH: `python benchmarks/gpu.py zoo://resnet mobilenetv2.onnx=images/`. The exit code is 1 without a GPU,
if an illegal access completes, or if it changes the row of another mutant.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Before TVM is imported: where PyTorch is installed, tvm_ffi would initialise the GPU, and forked children could not.
os.environ.setdefault("TVM_FFI_DISABLE_TORCH_C_DLPACK", "1")

import click
from hostility import hostile_mutants, installed, kind_of
from measuring.campaigns import Finished, Subject, chosen, list_mutants, run_campaign, workplace
from measuring.comparison import UNDEFINED, row_differences
from measuring.output import begin, end, json_option, listed, say, table

from tvm_mutate.kernels import cuda_architecture

BARRIERS = "tir.drop-barrier,tir.move-barrier,code.drop-barrier"
VERDICTS = ("killed", "survived", "equivalent", "no coverage")
HEAD = ("campaign", "mutants", *VERDICTS, "no verdict", "mutants/s", "GPU idle %")
WATCH = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=500")


@contextmanager
def watched_gpu(folder: Path) -> Iterator[Path]:
    """A file into which the share of time in which the GPU is busy is written while this lasts, twice a second."""
    file = folder / "utilisation"
    with file.open("w") as output:
        watching = subprocess.Popen(WATCH, stdout=output) if shutil.which(WATCH[0]) else None
        try:
            yield file
        finally:
            if watching:
                watching.terminate()
                watching.wait()


def idle_percent(file: Path) -> float | None:
    """The share of time in which the GPU was idle, over all that was written; None where nothing was."""
    busy = [int(line) for line in file.read_text().split() if line.isdigit()]
    return 100 - sum(busy) / len(busy) if busy else None


def campaign(name: str, arguments: list[str], folder: Path, **more: Any) -> tuple[Finished, list[object]]:
    """A finished campaign, and its row under HEAD; of several devices that of the GPU."""
    folder.mkdir(parents=True, exist_ok=True)
    with watched_gpu(folder) as file:
        finished = run_campaign(arguments, folder / name, **more)
    rows = [row for row in finished.rows if row["device"] == "gpu"]
    verdicts = Counter(row["verdict"] for row in rows)
    speed = len(finished.rows) / max(finished.mutants_seconds, 1e-9)
    counts = [verdicts[each] for each in VERDICTS]
    return finished, [name, len(rows), *counts, verdicts[None], speed, idle_percent(file)]


def measured(
    subject: Subject, options: dict[str, Any], folder: Path
) -> tuple[list[list[object]], list[str], list[str]]:
    """The rows of a model's campaigns under HEAD, the illegal accesses, and what is wrong about them."""
    gpu, seed = ["--device", f"gpu={options['target']}"], ["--seed", str(options["seed"])]
    arguments = [*subject.arguments(options["inputs"]), *gpu, *seed, "--workers", str(options["workers"])]
    sample, barriers = ["--sites", f"sample:{options['sample']}"], ["--sites", f"sample:{options['barriers']}"]
    _, verdicts = campaign("verdicts", [*arguments, "--device", "llvm", *sample], folder)
    _, dropped = campaign("barriers", [*arguments, "--operators", BARRIERS, *barriers], folder)
    more, target = installed(folder / "package"), ["--target", options["target"]]
    illegal = hostile_mutants(subject.model, {"crash": options["illegal"]}, more, [*target, *seed])
    harmless = list_mutants(subject.model, *sample, *target, *seed)
    mixed = random.Random(options["seed"]).sample([*harmless, *illegal], len(harmless) + len(illegal))
    alone, first = campaign("alone", [*arguments, *chosen(harmless)], folder, more=more)
    among, second = campaign("with illegal accesses", [*arguments, *chosen(mixed)], folder, more=more)
    hostile = [row for row in among.rows if kind_of(row["id"])]
    others = {**among.results, "mutants": [row for row in among.rows if not kind_of(row["id"])]}
    differ = [each for each in row_differences(alone.results, others) if each.behaviour != UNDEFINED]
    wrong = [f"{row['id']}: completed" for row in hostile if row["outcome"] == "completed"]
    accesses = [f"{row['id']}: {row['outcome']}, {row['reason']}" for row in hostile]
    return [verdicts, dropped, first, second], accesses, [*wrong, *map(str, differ)]


@click.command()
@click.argument("models", nargs=-1)
@click.option("--target", default="cuda", show_default=True, help="The GPU's target.")
@click.option("--sample", default=200, show_default=True, help="Mutants of single sites a model.")
@click.option("--barriers", default=20, show_default=True, help="Mutants of barriers a model.")
@click.option("--illegal", default=3, show_default=True, help="Mutants that access memory which is not there.")
@click.option("--inputs", default=10, show_default=True, help="How many.")
@click.option("--workers", default=0, help="Worker processes. Default: one a core.")
@click.option("--seed", default=0, show_default=True, help="Seed of the samples.")
@click.option("--keep", help="Keep the campaigns' outputs in this folder.")
@json_option
@click.pass_context
def main(context: click.Context, models: tuple[str, ...], json_file: str | None, **options: Any) -> None:
    """Runs campaigns with MODELS (MODEL or MODEL=IMAGES; default: two of the zoo) on the GPU of this machine."""
    architecture = cuda_architecture()
    if not architecture:
        raise click.ClickException("no GPU for CUDA is here, or its driver does not answer")
    report, found, wrong = begin(f"GPU of {architecture}"), {}, []
    with workplace(options["keep"]) as folder:
        for subject in map(Subject.parse, models or ("zoo://alexnet", "zoo://resnet")):
            rows, accesses, complaints = measured(subject, options, folder / subject.name)
            say(f"\n{subject.name}", table(HEAD, rows), listed("illegal accesses", accesses))
            found[subject.name] = {
                "campaigns": [dict(zip(HEAD, row, strict=True)) for row in rows],
                "illegal": accesses,
            }
            wrong += [f"{subject.name}, {each}" for each in complaints]
    say(listed("wrong", wrong))
    end({**report, "models": found, "wrong": wrong}, json_file)
    context.exit(int(bool(wrong)))


if __name__ == "__main__":
    main()

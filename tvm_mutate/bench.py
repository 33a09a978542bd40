"""``python -m tvm_mutate.bench``: the experiment of MutateNN (arXiv 2306.01697) in one command."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

# Before TVM is imported: code runs in forked children, which cannot use a thread pool of their parent.
os.environ.setdefault("TVM_NUM_THREADS", "1")

from tvm_mutate.api import check_devices
from tvm_mutate.campaign import Campaign, Subject, prepare_subject
from tvm_mutate.cli.console import run_command
from tvm_mutate.cli.options import (
    OPERATORS_HELP,
    OUTPUT_HELP,
    GroupedCommand,
    campaign_arguments,
    campaign_options,
    progress_options,
    site_options,
    specification_of,
    words,
)
from tvm_mutate.cli.results import publish
from tvm_mutate.device import held_folder, parse_devices
from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model import REAL_MODELS, ZOO_DIGITS, ZOO_PROMPTS, real_model_path
from tvm_mutate.model.zoo import DECODER, ZOO_NAMES
from tvm_mutate.results import write_json

_TARGETS = ("llvm", '{"kind":"llvm","mcpu":"x86-64-v3"}', "c")
_MODELS = (*ZOO_NAMES, DECODER)
_INPUTS = 50
_QUICK_MODELS = ("alexnet",)
_QUICK_OPERATORS = "graph.replace-arithmetic,graph.replace-activation,tir.store-through,tir.swap-compare"
_QUICK_TARGETS = ("llvm", "c")
_QUICK_INPUTS = 10


@click.command(cls=GroupedCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--models", help=f"Names, separated by commas. Default: {', '.join(_MODELS)}.")
@click.option("--operators", help=f"{OPERATORS_HELP} Default: paper.")
@click.option(
    "--targets",
    "--target",
    multiple=True,
    help=f"A TVM target, or as --device of tvm-mutate; repeatable. Default: {', '.join(_TARGETS)}.",
)
@click.option("--limit", type=click.IntRange(min=1), help=f"Images or prompts a model. Default: {_INPUTS}.")
@click.option("--real", type=click.Path(path_type=Path), help="Folder with the full-size ONNX model zoo files.")
@click.option("--inputs", help="Images in place of the zoo's digits; --real needs them: a folder of photographs.")
@click.option("--labels", help="With --inputs: a CSV file with the columns file and class_index.")
@site_options
@click.option("--output", help=f"{OUTPUT_HELP} Default: tvm_mutate.bench, or tvm_mutate.bench.quick.")
@campaign_options
@click.option("--quick", is_flag=True, help="One model, four operators, two targets: under a minute.")
@progress_options
def bench(quick: bool, **options: Any) -> None:
    """Repeat MutateNN's experiment: seven image models and a language model, its mutations, several targets.

    Prints a table of models, categories and devices, the canaries, the worst discrepancies between devices, and the
    headline figures of the paper beside these; writes results.json and CSV files. Exit codes are those of tvm-mutate.
    """
    output = Path(options["output"] or ("tvm_mutate.bench.quick" if quick else "tvm_mutate.bench"))
    if options["operators"] is None:
        options["operators"] = _QUICK_OPERATORS if quick else "paper"
    options["limit"] = options["limit"] or (_QUICK_INPUTS if quick else _INPUTS)
    known = ZOO_NAMES if options["inputs"] else _MODELS
    models = _models(options["models"], known, _QUICK_MODELS if quick else known)
    specification = specification_of(options)
    if options["inputs"] is None:
        for name, remedy in (("real", "a folder of photographs"), ("labels", "the zoo's digits have their labels")):
            if options[name] is not None:
                raise UsageError(f"--{name} needs --inputs: {remedy}")
    arguments = campaign_arguments(options)
    started = time.monotonic()
    devices = parse_devices(options["targets"] or (_QUICK_TARGETS if quick else _TARGETS))
    check_devices(devices)
    with held_folder("inputs") as folder:
        subjects = [_subject(name, folder, options) for name in models]
        results = Campaign(subjects, devices, specification, output, **arguments).run()
    seconds = time.monotonic() - started
    write_json(results, output)
    publish(results, output, bench=True)
    click.echo(f"time: {seconds:.0f} s")


def _models(names: str | None, known: tuple[str, ...], default: tuple[str, ...]) -> tuple[str, ...]:
    models = default if names is None else tuple(dict.fromkeys(words(names)))
    for name in models:
        if name == DECODER and DECODER not in known:
            raise UsageError(f"--models {DECODER} reads prompts, so it takes no --inputs; leave one of them out")
        if name not in known:
            raise UsageError(f"--models {name!r} is not a model of the bench{suggestion(name, known)}")
    if not models:
        raise UsageError(f"--models names no model; known: {', '.join(known)}")
    return models


def _subject(name: str, folder: Path, options: dict[str, Any]) -> Subject:
    """The model with its inputs: of the full-size files with ``--real``, else of the embedded zoo."""
    reference, recipe = f"zoo://{name}", None
    inputs = options["inputs"] or (ZOO_PROMPTS if name == DECODER else ZOO_DIGITS)
    if options["real"] is not None:
        reference, recipe = str(real_model_path(name, options["real"])), REAL_MODELS[name].recipe
    return prepare_subject(reference, inputs, folder, limit=options["limit"], labels=options["labels"], recipe=recipe)


def main() -> None:
    """Runs the bench and exits with a documented code."""
    sys.exit(run_command(bench, name="python -m tvm_mutate.bench"))


if __name__ == "__main__":
    main()

"""``python -m tvm_mutate.bench``: the paper's experiment in one command."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

os.environ.setdefault("TVM_NUM_THREADS", "1")

from tvm_mutate.bench.experiment import (
    PAPER_OPERATORS,
    QUICK_MODELS,
    QUICK_OPERATORS,
    QUICK_TARGETS,
    TARGETS,
    Experiment,
    run_experiment,
)
from tvm_mutate.campaign import make_reporter
from tvm_mutate.cli.door import progress_console, run_command
from tvm_mutate.cli.options import (
    OPERATORS_HELP,
    OUTPUT_HELP,
    campaign_options,
    course_of,
    quiet_option,
    site_options,
    specification_of,
    words,
)
from tvm_mutate.cli.publication import publish
from tvm_mutate.device import held_folder
from tvm_mutate.model.zoo import ZOO_NAMES

_QUICK_INPUTS = 10
_INPUTS = 50
_TARGETS = ", ".join(TARGETS)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--models", help=f"Names, separated by commas. Default: {', '.join(ZOO_NAMES)}.")
@click.option("--operators", help=f"{OPERATORS_HELP} Default: paper.")
@click.option(
    "--targets",
    "--target",
    multiple=True,
    help=f"A TVM target, or as --device of tvm-mutate; repeatable. Default: {_TARGETS}.",
)
@click.option("--inputs", type=click.IntRange(min=1), help=f"Images a model. Default: {_INPUTS}.")
@click.option("--real", type=click.Path(path_type=Path), help="Folder with the full-size ONNX model zoo files.")
@click.option("--images", help="Images in place of the zoo's digits; --real needs them: a folder of photographs.")
@click.option("--labels", help="With --images: a CSV file with the columns file and class_index.")
@site_options
@click.option("--output", help=f"{OUTPUT_HELP} Default: tvm_mutate.bench, or tvm_mutate.bench.quick.")
@campaign_options
@click.option("--quick", is_flag=True, help="Two models, four operators, two targets: under a minute.")
@quiet_option
def bench(**options: Any) -> None:
    """Repeat MutateNN's experiment: seven image models, its mutations, several targets.

    Prints a table of models, categories and devices, the canaries, the worst discrepancies between devices, and the
    paper's headline figures beside ours; writes results.json and CSV files. Exit codes are those of tvm-mutate.
    """
    quick = options["quick"]
    output = Path(options["output"] or ("tvm_mutate.bench.quick" if quick else "tvm_mutate.bench"))
    experiment, course = experiment_of(options), course_of(options)
    reporter = make_reporter(options["quiet"], progress_console())
    with held_folder("inputs") as folder:
        results, seconds = run_experiment(experiment, folder, output, reporter, **course)
    publish(results, output)
    click.echo(f"time: {seconds:.0f} s")


def experiment_of(options: dict[str, Any]) -> Experiment:
    """The experiment that the options ask for."""
    quick = options["quick"]
    operators = QUICK_OPERATORS if quick else PAPER_OPERATORS
    asked = {**options, "operators": ",".join(operators)} if options["operators"] is None else options
    models = QUICK_MODELS if quick else ZOO_NAMES
    return Experiment(
        models=models if options["models"] is None else tuple(dict.fromkeys(words(options["models"]))),
        targets=options["targets"] or (QUICK_TARGETS if quick else TARGETS),
        specification=specification_of(asked),
        inputs=options["inputs"] or (_QUICK_INPUTS if quick else _INPUTS),
        real=options["real"],
        images=options["images"],
        labels=options["labels"],
    )


def main() -> None:
    """Runs the bench and exits with a documented code."""
    sys.exit(run_command(bench, name="python -m tvm_mutate.bench"))

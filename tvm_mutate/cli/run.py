"""``tvm-mutate run``: a campaign on one model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from tvm_mutate.campaign import Campaign, make_reporter
from tvm_mutate.campaign.preparation import prepare_subject
from tvm_mutate.campaign.runner import LEAST_SECONDS
from tvm_mutate.cli.door import progress_console
from tvm_mutate.cli.options import (
    device_options,
    devices_of,
    model_options,
    oracle_option,
    preprocessing_changes,
    selection_options,
    shapes_of,
    specification_of,
)
from tvm_mutate.cli.publication import publish
from tvm_mutate.errors import ExitCode

_DEFAULT_DEVICES = ("llvm",)


@click.command("run")
@click.argument("model")
@click.option("--inputs", help="Images (a folder, .npz, .npy or zoo://digits). Default: the zoo's own for zoo models.")
@click.option("--labels", help="A CSV file with the columns file and class_index.")
@click.option("--limit", type=click.IntRange(min=1), help="Use this many inputs, evenly spread.")
@selection_options
@device_options(_DEFAULT_DEVICES)
@model_options
@oracle_option
@click.option(
    "--output", default="tvm_mutate.out", show_default=True, help="Folder for results; resumes what it holds."
)
@click.option("--workers", default=0, help="Worker processes. Default: one a core.")
@click.option("--timeout", default=LEAST_SECONDS, show_default=True, help="Least time limit of a mutant, in seconds.")
@click.option("--fail-under", type=click.FloatRange(0, 100), help="Exit with 2 if the score, in percent, is below.")
@click.option("--quiet", is_flag=True, help="No progress.")
def run(model: str, **options: Any) -> int:
    """Run a campaign: the mutants of MODEL on devices and inputs, with verdicts.

    MODEL is the path of an .onnx or .py file, zoo://NAME or real://NAME. The same command resumes an interrupted
    campaign.
    """
    devices = devices_of(options, _DEFAULT_DEVICES)
    specification = specification_of(options, options["oracle"])
    for device in devices:
        device.runtime()
    with tempfile.TemporaryDirectory(prefix="tvm_mutate-inputs-") as folder:
        subject = prepare_subject(
            model,
            options["inputs"] or "zoo://digits",
            Path(folder),
            labels=options["labels"],
            limit=options["limit"],
            shape=shapes_of(options),
            recipe=options["recipe"],
            changes=preprocessing_changes(options),
        )
        campaign = Campaign(
            [subject],
            devices,
            specification,
            Path(options["output"]),
            workers=options["workers"],
            least_seconds=options["timeout"],
            reporter=make_reporter(options["quiet"], progress_console()),
        )
        results = campaign.run()
    publish(results, campaign.output)
    score = results.score()
    threshold = options["fail_under"]
    if threshold is not None and score is not None and 100 * score < threshold:
        click.echo(f"score {100 * score:.1f} % is below --fail-under {threshold:g} %", err=True)
        return int(ExitCode.BELOW_THRESHOLD)
    return int(ExitCode.OK)

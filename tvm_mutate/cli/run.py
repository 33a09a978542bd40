"""``tvm-mutate run``: a campaign on one model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tvm_mutate.campaign import Campaign, make_reporter
from tvm_mutate.cli.door import progress_console
from tvm_mutate.cli.options import (
    OUTPUT_HELP,
    Number,
    campaign_options,
    check_devices,
    course_of,
    device_options,
    devices_of,
    model_options,
    oracle_option,
    quiet_option,
    selection_options,
    specification_of,
    timeout_option,
)
from tvm_mutate.cli.publication import publish
from tvm_mutate.cli.subject import input_options, inputs_of, subject_of
from tvm_mutate.device import held_folder
from tvm_mutate.errors import ExitCode
from tvm_mutate.oracle import Outcome

_DEFAULT_DEVICES = ("llvm",)


@click.command("run")
@click.argument("model")
@input_options
@selection_options
@device_options(_DEFAULT_DEVICES)
@model_options
@oracle_option
@click.option("--output", default="tvm_mutate.out", show_default=True, help=OUTPUT_HELP)
@campaign_options
@timeout_option
@click.option(
    "--fail-under", type=Number(0, 100), help="Exit with 2 if the score in percent is below, or if there is none."
)
@quiet_option
def run(model: str, **options: Any) -> int:
    """Run a campaign: judge the mutants of MODEL on devices and inputs.

    MODEL is the path of an .onnx or .py file, zoo://NAME or real://NAME. The same command resumes an interrupted
    campaign.
    """
    devices = devices_of(options, _DEFAULT_DEVICES)
    specification = specification_of(options, options["oracle"])
    course = course_of(options)
    inputs = inputs_of(model, options)
    check_devices(devices)
    with held_folder("inputs") as folder:
        subject = subject_of(model, inputs, options, folder)
        campaign = Campaign(
            [subject],
            devices,
            specification,
            Path(options["output"]),
            least_seconds=options["timeout"],
            reporter=make_reporter(options["quiet"], progress_console()),
            **course,
        )
        results = campaign.run()
    publish(results, campaign.output)
    if lost := sum(row.outcome is Outcome.DEVICE_LOST for row in results.mutants):
        click.echo(
            f"{lost} mutants were lost with their device; the same command judges them when it is back", err=True
        )
        return int(ExitCode.INTERRUPTED)
    return int(held_against(options["fail_under"], results.score.value))


def held_against(threshold: float | None, score: float | None) -> ExitCode:
    """What the score comes to; says on stderr why it is too low."""
    if threshold is None or (score is not None and 100 * score >= threshold):
        return ExitCode.OK
    told = "no mutant was killed or survived, so there is no score" if score is None else f"score {100 * score:.1f} %"
    click.echo(f"{told}: below --fail-under {threshold:g} %", err=True)
    return ExitCode.BELOW_THRESHOLD

"""``tvm-mutate list`` and ``run``: the mutants of a model, and a campaign that judges them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from tvm_mutate.api import run_campaign
from tvm_mutate.campaign import Pair, Subject, find_since, take_shard
from tvm_mutate.campaign.survey import survey
from tvm_mutate.cli.console import exit_code_of
from tvm_mutate.cli.options import (
    OUTPUT_HELP,
    GroupedCommand,
    accepted_file,
    accepted_option,
    campaign_arguments,
    campaign_options,
    device_options,
    devices_of,
    fail_under_option,
    flow_of,
    input_options,
    inputs_of,
    model_argument,
    model_options,
    oracle_option,
    program_arguments,
    program_options,
    progress_options,
    report_option,
    selection_options,
    since_options,
    specification_of,
    subject_arguments,
    timeout_option,
    words,
)
from tvm_mutate.cli.results import campaign_report, publish
from tvm_mutate.device import held_folder, parse_devices, through
from tvm_mutate.errors import ExitCode
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.operators import load_catalogue
from tvm_mutate.oracle import Outcome
from tvm_mutate.pipeline import Stages
from tvm_mutate.report import check_formats, write_reports


@click.command("list", cls=GroupedCommand)
@model_argument
@selection_options
@since_options
@click.option("--target", default="llvm", show_default=True, help="The target for whose slots sites are listed.")
@program_options
@click.option("--json", "as_json", is_flag=True, help="JSON, with the variants without a site and the reason.")
def list_mutants(model: str, target: str, as_json: bool, **options: Any) -> None:
    """List every mutant of MODEL; builds nothing.

    MODEL is as in `tvm-mutate run`.

    \b
    Example:
      tvm-mutate list net.onnx --operators 'tir.*,!tir.drop-*' --sites each
    """
    specification = specification_of(options)
    parsed, arguments, catalogue = parse_target(target), program_arguments(options), load_catalogue()
    (device,) = through(flow_of(options), parse_devices([target]))
    with held_folder("since") as folder:
        since = find_since(options["since"], options["since_git"], model, [device], folder)
        loaded = load_model(model, **arguments)
        pair = Pair(loaded.name, target)
        whole = survey(Stages(loaded.module, parsed, device.flow), specification, catalogue)
        if since:
            shape = tuple((arguments["shape"] or {}).items())
            subject = Subject(loaded.name, model, loaded.digest, "", "", 1, shape=shape, scenario=arguments["scenario"])
            whole = since.changed(whole, subject, device, catalogue)
    found = take_shard({pair: whole}, specification.shard)[pair]
    if as_json:
        content = {"model": loaded.name, "target": target, "mutants": found.mutants, "absent": found.absent}
        click.echo(json.dumps(content, indent=2))
        return
    for mutant in found.mutants:
        click.echo(mutant)
    for line in [*(f"left out: {failure}" for failure in found.failures), *filter(None, [found.since])]:
        click.echo(line, err=True)
    if found.absent:
        click.echo(
            f"{len(found.mutants)} mutants; {len(found.absent)} variants have no site (--json lists them)", err=True
        )


@click.command("run", cls=GroupedCommand)
@model_argument
@input_options
@selection_options
@since_options
@device_options("llvm")
@model_options
@oracle_option
@click.option("--output", default="tvm_mutate.out", show_default=True, help=OUTPUT_HELP)
@campaign_options
@timeout_option
@accepted_option
@report_option
@fail_under_option
@progress_options
def run(model: str, **options: Any) -> int:
    """Run a campaign: judge the mutants of MODEL on devices and inputs.

    MODEL is the path of a file (.onnx, .pt2, .py, .json, .tflite, .mlir), zoo://NAME or real://NAME. The same command
    resumes an interrupted campaign.

    \b
    Examples:
      tvm-mutate run zoo://alexnet --sample 50 --limit 20
      tvm-mutate run net.onnx --inputs images/ --target c --report html
      tvm-mutate run net.onnx --random 8 --mutant 'tir.drop-store@fused_matmul*#*'
    """
    formats, arguments = check_formats(words(options["formats"])), campaign_arguments(options)
    results = run_campaign(
        model,
        devices=devices_of(options, "llvm"),
        specification=specification_of(options),
        **arguments,
        since=options["since"],
        since_git=options["since_git"],
        inputs=inputs_of(model, options),
        **subject_arguments(options),
        output=options["output"],
        timeout=options["timeout"],
        accepted=accepted_file(options),
    )
    if not results.mutants and (options["since"] or options["since_git"]):
        click.echo("no mutant is in a function that differs: nothing was run")
        return int(ExitCode.OK)
    output = Path(options["output"])
    report = campaign_report(results, arguments["reporter"]) if formats else None
    publish(results, output, write_reports(report, formats, output) if report else ())
    if lost := sum(row.outcome is Outcome.DEVICE_LOST for row in results.mutants):
        click.echo(
            f"{lost} mutants were lost with their device; the same command judges them when it is back", err=True
        )
        return int(ExitCode.INTERRUPTED)
    return int(exit_code_of(results.score.value, options["fail_under"]))

"""``tvm-mutate critical``: the smallest fault at each site that is noticed."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import click

from tvm_mutate.campaign import Campaign, Specification, make_reporter
from tvm_mutate.cli.door import output_console, progress_console, quiet_closed_pipe
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
    site_options,
    specification_of,
    timeout_option,
)
from tvm_mutate.cli.subject import input_options, inputs_of, subject_of
from tvm_mutate.device import held_folder
from tvm_mutate.errors import ExitCode, UsageError
from tvm_mutate.operators import load_catalogue
from tvm_mutate.studies.critical import RESOLUTION, CriticalSpecification, CriticalStudy, parameter_of
from tvm_mutate.studies.critical_report import critical_table, write_critical

_DEFAULT_DEVICES = ("llvm",)


@click.command("critical")
@click.argument("model")
@click.option("--operator", required=True, help="The operator whose faults are made smaller; it has to have a size.")
@click.option("--parameter", help="The parameter that is the size. Default: the operator's first that is one.")
@click.option("--max", "most", type=Number(min=0, min_open=True), help="The largest size. Default: the operator's.")
@click.option(
    "--resolution",
    type=Number(0.0001, 1),
    default=RESOLUTION,
    show_default=True,
    help="Stop where the sizes that survived and that were noticed differ by this part; whole steps are exact.",
)
@input_options
@site_options
@device_options(_DEFAULT_DEVICES)
@model_options
@oracle_option
@click.option("--output", default="tvm_mutate.critical", show_default=True, help=OUTPUT_HELP)
@campaign_options
@timeout_option
@quiet_option
def critical(model: str, **options: Any) -> int:
    """Find the critical magnitude at each site of MODEL: the smallest fault of an operator that is noticed.

    MODEL is the path of an .onnx or .py file, zoo://NAME or real://NAME. The range is halved until it is narrow enough
    (the search of BinFI, Chen et al., SC 2019). That takes for granted that a larger fault is noticed where a smaller
    one is: of the two sizes told, one was noticed and the other survived, but any size that was not tried may behave
    otherwise. A site where the least size is noticed and the largest is not is marked: there it certainly is not so.

    Writes critical.json into the output folder; the same command resumes an interrupted search.
    """
    devices = devices_of(options, _DEFAULT_DEVICES)
    specification = _specification_of(options)
    course = course_of(options)
    inputs = inputs_of(model, options)
    check_devices(devices)
    with held_folder("inputs") as folder:
        search = Campaign(
            [subject_of(model, inputs, options, folder)],
            devices,
            specification,
            Path(options["output"]),
            least_seconds=options["timeout"],
            reporter=make_reporter(options["quiet"], progress_console()),
            study=CriticalStudy(specification),
            **course,
        )
        rows = search.conduct().rows
    written = write_critical(rows, search.plan().mapping(), search.output)
    with quiet_closed_pipe():
        output_console().print(critical_table(rows))
        click.echo(f"written: {written}")
    return int(ExitCode.OK)


def _specification_of(options: dict[str, Any]) -> CriticalSpecification:
    """The specification that the options ask for; raises UsageError for what a search cannot do."""
    if options["order"] != 1:
        raise UsageError("--order: a search is for one mutation; leave it out")
    if options["sites"] == "all":
        raise UsageError("--sites all: a search is for single sites; write each, first or sample:N")
    for name in ("iterate", "precision"):
        if options[name] is not None:
            raise UsageError(f"--{name}: a search carries nothing over and stops at the first input; leave it out")
    operator = load_catalogue()[options["operator"]]
    parameter = parameter_of(operator, options["parameter"])
    most = options["most"]
    assert parameter.magnitude is not None
    least = parameter.magnitude.least
    if most is not None and most < least:
        raise UsageError(f"--max {most:g} is less than the least size of {operator.name}, {least:g}")
    sites = options["sites"] or (None if options["sample"] else "each")
    asked = specification_of({**options, "operators": operator.name, "sites": sites}, options["oracle"])
    return CriticalSpecification(
        **{each.name: getattr(replace(asked, until="killed"), each.name) for each in fields(Specification)},
        parameter=parameter.name,
        most=most if most is None or parameter.kind is not int else float(int(most)),
        resolution=options["resolution"],
    )

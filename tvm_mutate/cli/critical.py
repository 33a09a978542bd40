"""``tvm-mutate critical``: the smallest noticed fault of an operator at each site."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tvm_mutate.api import check_devices
from tvm_mutate.campaign import Campaign, prepare_subject
from tvm_mutate.cli.console import print_results
from tvm_mutate.cli.options import (
    OUTPUT_HELP,
    Number,
    campaign_arguments,
    campaign_options,
    device_options,
    devices_of,
    input_options,
    inputs_of,
    model_options,
    oracle_option,
    quiet_option,
    site_options,
    specification_of,
    subject_arguments,
    timeout_option,
)
from tvm_mutate.device import held_folder
from tvm_mutate.errors import ExitCode, UsageError
from tvm_mutate.operators import load_catalogue
from tvm_mutate.studies.critical import (
    RESOLUTION,
    CriticalSpecification,
    CriticalStudy,
    critical_table,
    parameter_of,
    write_critical,
)


@click.command("critical")
@click.argument("model")
@click.option("--operator", required=True, help="The operator; one of its parameters must be a size.")
@click.option("--parameter", help="The parameter that is the size. Default: the first one.")
@click.option("--max", "most", type=Number(min=0, min_open=True), help="The largest size. Default: the operator's.")
@click.option(
    "--resolution",
    type=Number(0.0001, 1),
    default=RESOLUTION,
    show_default=True,
    help="Stop when the largest survivor and the smallest noticed size differ by this part; whole steps are exact.",
)
@input_options
@site_options
@device_options("llvm")
@model_options
@oracle_option
@click.option("--output", default="tvm_mutate.critical", show_default=True, help=OUTPUT_HELP)
@campaign_options
@timeout_option
@quiet_option
def critical(model: str, **options: Any) -> int:
    """Find the critical magnitude at each site of MODEL: the smallest noticed fault of an operator.

    MODEL is the path of an .onnx or .py file, zoo://NAME or real://NAME. The search halves the range of sizes until the
    range is narrow enough (as BinFI does: Chen et al., SC 2019). The search assumes that larger faults are noticed more
    easily: of the two reported sizes one was noticed and the other survived, but sizes in between were not tried. A
    site is marked if its least size is noticed and its largest is not: there the assumption does not hold.

    Writes critical.json into the output folder; the same command resumes an interrupted search.
    """
    devices = devices_of(options, "llvm")
    specification = _specification_of(options)
    arguments = campaign_arguments(options)
    inputs = inputs_of(model, options)
    check_devices(devices)
    with held_folder("inputs") as folder:
        search = Campaign(
            [prepare_subject(model, inputs, folder, **subject_arguments(options))],
            devices,
            specification,
            Path(options["output"]),
            least_seconds=options["timeout"],
            study=CriticalStudy(specification),
            **arguments,
        )
        rows = search.conduct().rows
    print_results([critical_table(rows)], [write_critical(rows, search.plan().mapping(), search.output)])
    return int(ExitCode.OK)


def _specification_of(options: dict[str, Any]) -> CriticalSpecification:
    """The specification that the options ask for; raises UsageError for options that do not apply to a search."""
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
    asked = specification_of({**options, "operators": operator.name, "sites": sites})
    return CriticalSpecification(
        **{**vars(asked), "until": "killed"},
        parameter=parameter.name,
        most=most if most is None or parameter.kind is not int else float(int(most)),
        resolution=options["resolution"],
    )

"""``tvm-mutate critical`` and ``part``: the smallest noticed fault at each site; where two devices diverge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from tvm.target import Target

from tvm_mutate.api import check_devices
from tvm_mutate.campaign import Campaign, Specification, prepare_subject
from tvm_mutate.campaign.survey import survey
from tvm_mutate.cli.console import print_results
from tvm_mutate.cli.options import (
    OUTPUT_HELP,
    GroupedCommand,
    Number,
    campaign_arguments,
    campaign_options,
    device_options,
    devices_of,
    input_options,
    inputs_of,
    model_argument,
    model_options,
    operator_names,
    oracle_option,
    progress_options,
    site_options,
    specification_of,
    subject_arguments,
    timeout_option,
)
from tvm_mutate.device import Device, held_folder
from tvm_mutate.errors import ExitCode, UsageError
from tvm_mutate.evaluate import Examination, Examiner
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import Workload, load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Fused, Stages
from tvm_mutate.studies.critical import (
    RESOLUTION,
    CriticalSpecification,
    CriticalStudy,
    parameter_of,
    render_critical,
    write_critical,
)
from tvm_mutate.studies.divergence import MARGIN, KernelDivergence, LocalRunner, find_kernel_divergence
from tvm_mutate.studies.pass_divergence import PassDivergence, find_pass_divergence

_INPUTS = 3


@click.command("critical", cls=GroupedCommand)
@model_argument
@click.option(
    "--operator",
    shell_complete=operator_names,
    required=True,
    help="The operator; one of its parameters must be a size.",
)
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
@progress_options
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
    print_results(render_critical(rows), [write_critical(rows, search.plan().mapping(), search.output)])
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


@click.command("part", cls=GroupedCommand)
@click.argument("mutant")
@model_argument
@input_options
@device_options("llvm", "c")
@model_options
@click.option(
    "--margin",
    type=Number(min=1),
    default=MARGIN,
    show_default=True,
    help="Values count as different from this multiple of the difference between the unmutated builds.",
)
@timeout_option
def part(mutant: str, model: str, margin: float, timeout: float, **options: Any) -> None:
    """Find where two devices diverge on MUTANT of MODEL: the first kernel, and the first pass.

    MUTANT is an id as `tvm-mutate list` prints it; name two devices. The kernel is the first whose values differ by
    more than those of the unmutated builds, over the inputs (three without --limit). The pass is the first of both
    targets' pipelines after which the IR of that kernel differs.
    """
    devices = devices_of(options, "llvm", "c")
    if len(devices) != 2:
        raise UsageError(f"this command compares two devices, not {len(devices)}; name two with --device or --target")
    catalogue = load_catalogue()
    parsed = catalogue.parse(mutant)
    arguments = subject_arguments({**options, "limit": options["limit"] or _INPUTS})
    module = load_model(model, shape=arguments["shape"], scenario=arguments["scenario"]).module
    fused = {device.flow.digest: Fused(module, flow=device.flow) for device in devices}
    stages = [Stages(fused[device.flow.digest], _target_here(device)) for device in devices]
    for each in stages:
        survey(each, Specification(mutants=(str(parsed),)), catalogue)  # refuses a site that does not exist
    with held_folder("inputs") as folder:
        subject = prepare_subject(model, inputs_of(model, options), folder, **arguments)
        workload = Workload(subject.load().scenario, subject.samples())
    sessions = [LocalRunner(each, workload, catalogue, timeout) for each in stages]
    kernel = find_kernel_divergence(parsed, sessions[0], sessions[1], workload.samples, margin)
    selections = selections_by_slot(parsed.mutations, catalogue)
    name = kernel.kernel if kernel else None
    found = None if Slot.TEXT in selections else find_pass_divergence(stages[0], stages[1], selections, name)
    examined = Examiner(stages[0], workload, catalogue).examine(parsed, timeout)
    for line in [*_kernel_lines(kernel), _pass_line(found, devices, name), *_behaviour_lines(examined)]:
        click.echo(line)


def _target_here(device: Device) -> Target:
    if not device.is_processor:
        raise UsageError(f"device {device.name}: kernels are run one by one on the processor of this machine only")
    return parse_target(device.target)


def _kernel_lines(found: KernelDivergence | None) -> Iterator[str]:
    if found is None:
        yield "kernels: no call gives other values on one device than on the other, beyond the unmutated builds"
        return
    yield f"kernel: {found.kernel}, call {found.call + 1} of {found.calls}"
    if found.reason:
        yield f"  one of the devices does not get through it: {found.reason}"
        return
    by = "NaN or infinity" if found.difference is None else f"up to {found.difference:.3g}"
    yield f"  {found.elements} of {found.size} elements differ by {by}; ordinary would be {found.tolerance:.3g}"


def _pass_line(found: PassDivergence | None, devices: Sequence[Device], kernel: str | None) -> str:
    what = f"IR of {kernel}" if kernel else "IR"
    if found is None:
        return f"pass: none, the {what} is the same to the end; the code generators make other code of it"
    first, second = (", ".join(names) or "nothing" for names in (found.first, found.second))
    if first == second:
        return f"pass: {first} ({found.stage}), after which the {what} differs"
    sides = f"{first} on {devices[0].name}, {second} on {devices[1].name}"
    return f"pass: the lists differ in {found.stage}: {sides}, after which the {what} differs"


def _behaviour_lines(found: Examination) -> Iterator[str]:
    yield f"behaviour: {found.behaviour}"
    for way in ("indices", "red_zones", "sanitizer"):
        yield f"  {way.replace('_', ' ')}: {getattr(found, way)}"
    for each in found.accesses:
        access = f" {each.kind} {each.expression}" if each.expression else ""
        yield f"  {each.kernel}:{access} ({each.evidence}: {each.detail})"

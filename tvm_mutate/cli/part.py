"""``tvm-mutate part``: where two devices diverge on a mutant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click
import numpy as np
from tvm.target import Target

from tvm_mutate.campaign import Specification, prepare_subject
from tvm_mutate.campaign.survey import survey
from tvm_mutate.cli.options import (
    Number,
    device_options,
    devices_of,
    input_options,
    inputs_of,
    model_options,
    subject_arguments,
    timeout_option,
)
from tvm_mutate.device import Device, held_folder
from tvm_mutate.errors import UsageError
from tvm_mutate.evaluate import Examination, Examiner
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Fused, Stages
from tvm_mutate.studies.divergence import MARGIN, KernelDivergence, LocalRunner, find_kernel_divergence
from tvm_mutate.studies.pass_divergence import PassDivergence, find_pass_divergence

_INPUTS = 3


@click.command("part")
@click.argument("mutant")
@click.argument("model")
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
    fused = Fused(load_model(model, shape=arguments["shape"]).module)
    stages = [Stages(fused, _target_here(device)) for device in devices]
    for each in stages:
        survey(each, Specification(mutants=(str(parsed),)), catalogue)  # refuses a site that does not exist
    with held_folder("inputs") as folder:
        inputs = np.load(prepare_subject(model, inputs_of(model, options), folder, **arguments).inputs)
    sessions = [LocalRunner(each, catalogue, timeout) for each in stages]
    kernel = find_kernel_divergence(parsed, sessions[0], sessions[1], inputs, margin)
    selections = selections_by_slot(parsed.mutations, catalogue)
    name = kernel.kernel if kernel else None
    found = None if Slot.TEXT in selections else find_pass_divergence(stages[0], stages[1], selections, name)
    examined = Examiner(stages[0], inputs, catalogue).examine(parsed, timeout)
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

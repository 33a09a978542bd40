"""``tvm-mutate doctor``: what works here."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.markup import escape
from rich.table import Table

from tvm_mutate.campaign import CANARIES, Campaign, Specification, Subject, make_reporter
from tvm_mutate.campaign.environment import environment
from tvm_mutate.campaign.preparation import prepare_subject
from tvm_mutate.cli.door import output_console, progress_console
from tvm_mutate.cli.options import DEVICE_HELP, devices_file_option, quiet_option
from tvm_mutate.cli.processor import obstacle
from tvm_mutate.device import Device, EndingKind, held_folder, parse_device, parse_devices, run_isolated, why_no_session
from tvm_mutate.errors import CampaignInterruptedError, ExitCode, UntrustedError, UsageError
from tvm_mutate.kernels import generate, generated_text, missing_compiler, parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.native import native_library
from tvm_mutate.passes import native_operators
from tvm_mutate.pipeline import Stages, kernels_of

_PATIENT = "zoo://alexnet"
_INPUTS = 4
_FAILED = "FAILED"
_CODE_SECONDS = 300.0
_PATIENCE_SECONDS = 3.0
_TARGETS = (
    "llvm",
    '{"kind":"llvm","mcpu":"x86-64-v3"}',
    "c",
    '{"kind":"cuda","arch":"sm_80"}',
    "opencl",
    "webgpu",
    "metal",
    "vulkan",
    "rocm",
)


@click.command("doctor")
@click.option("--target", "targets", multiple=True, help="Look at this target only; repeatable.")
@click.option("--device", "devices", multiple=True, help=DEVICE_HELP)
@devices_file_option
@quiet_option
def doctor(targets: tuple[str, ...], devices: tuple[str, ...], device_files: tuple[Path, ...], quiet: bool) -> int:
    """Say what works here: versions, the native library, and which targets build, run and pass their canaries.

    For each target a small model's code is generated; where a device runs it, a mutant that must survive and one
    that must be killed are judged on it. Of a remote device it says whether it answers. Exits with 3 if the judgement
    of a target that runs is wrong.
    """
    named = [*map(parse_device, targets), *parse_devices(devices, device_files)]
    examined = named or [parse_device(text) for text in _TARGETS]
    console = output_console()
    for name, value in msgspec.structs.asdict(environment()).items():
        console.print(f"{name}: {_shown(value)}")
    console.print(f"native library: {escape(_native())}")
    table = Table()
    for column in ("device", "code", "runs", "canaries"):
        table.add_column(column, overflow="fold")
    healthy = True
    with held_folder("doctor") as folder:
        subject = prepare_subject(_PATIENT, "zoo://digits", folder, limit=_INPUTS)
        for number, device in enumerate(examined):
            row = (_shown_device(device), *_examine(device, subject, folder / str(number), quiet))
            healthy = healthy and not row[-1].startswith(_FAILED)
            table.add_row(*map(escape, row))
    console.print(table)
    return int(ExitCode.OK if healthy else ExitCode.UNTRUSTED)


def _examine(device: Device, subject: Subject, folder: Path, quiet: bool) -> tuple[str, str, str]:
    """Whether code is generated for a device, whether it runs that, and what became of the canaries."""
    ending = run_isolated(lambda _stage: _code_size(device.target, subject.reference), _CODE_SECONDS)
    if ending.kind != EndingKind.FINISHED:
        return f"no: {ending.reason}", "-", "-"
    code = f"yes ({ending.value // 1024} KiB)"
    if (reason := _why_not_run(device)) is not None:
        return code, f"no: {reason}", "-"
    specification = Specification(mutants=tuple(canary.mutant for canary in CANARIES))
    try:
        campaign = Campaign(
            [subject],
            [device],
            specification,
            folder,
            workers=1,
            reporter=make_reporter(quiet, progress_console()),
        )
        canaries = campaign.run().canaries
    except UntrustedError as error:
        return code, "yes", f"{_FAILED}: {error}"
    except CampaignInterruptedError as error:
        return code, f"no: {error}", "-"
    return code, "yes", ", ".join(f"{canary.canary}: {canary.verdict}" for canary in canaries)


def _code_size(text: str, reference: str) -> int:
    target = parse_target(text)
    stages = Stages(load_model(reference).module, target)
    module = generate(kernels_of(stages.runnable(stages.at(Slot.KERNEL))), target)
    return len(generated_text(module, target.kind.name))


def _why_not_run(device: Device) -> str | None:
    """Why code does not run on the device, in a few words; None if it should."""
    target = parse_target(device.target)
    kind, tools = target.kind.name, device.toolchain
    if (kind == "c" or device.is_remote) and not tools.is_there:
        return missing_compiler("its code", tools)
    if device.is_remote:
        return why_no_session(device, _PATIENCE_SECONDS) or None
    if kind == "llvm":
        return obstacle(target)
    try:
        device.runtime()
    except UsageError:
        return f"no {kind} device"
    return None


def _shown_device(device: Device) -> str:
    """The device as its user named it: what it was made of, or its name where it is more than a target."""
    return device.target if device == parse_device(device.target) else device.name


def _native() -> str:
    """What the optional native library was built for and has, or why it is not there."""
    library = native_library()
    if not library:
        return f"no: {library.obstacle}"
    operators = native_operators()
    return f"yes, for apache-tvm-ffi {library.built_for}; {len(operators)} operators: {', '.join(operators)}"


def _shown(value: object) -> str:
    return ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, dict) else str(value)

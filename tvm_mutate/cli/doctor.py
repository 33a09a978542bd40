"""``tvm-mutate doctor``: which targets and devices work on this machine."""

from __future__ import annotations

import re
from pathlib import Path

import click
import msgspec
import tvm
from tvm.target import Target, codegen

from tvm_mutate.campaign import CANARIES, Campaign, Reporter, Specification, Subject, prepare_subject
from tvm_mutate.cli.options import DEVICE_HELP, devices_file_option, progress_options
from tvm_mutate.device import Device, EndingKind, held_folder, parse_device, parse_devices, run_isolated, why_no_session
from tvm_mutate.errors import CampaignInterruptedError, ExitCode, UntrustedError, UsageError
from tvm_mutate.kernels import generated_text, missing_compiler, parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.native import native_library
from tvm_mutate.passes import native_operators
from tvm_mutate.pipeline import Stages, generate, kernels_of
from tvm_mutate.results import environment

_MODEL = "zoo://alexnet"
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
# A virtual machine hides some of these features; compilers do not generate their instructions on their own.
_NEVER_GENERATED = re.compile(
    "amx-.*|cl(demote|flushopt|wb|zero)|enqcmd|fsgsbase|hreset|invpcid|(wide)?kl|lwp|movdir64b|movdiri|mwaitx|pconfig|pku|"
    "prefetchi|ptwrite|rdpid|rdpru|rdrnd|rdseed|rtm|serialize|sgx|shstk|tsxldtrk|uintr|usermsr|waitpkg|wbnoinvd"
)


@click.command("doctor")
@click.option("--target", "targets", multiple=True, help="Examine this target only; repeatable.")
@click.option("--device", "devices", multiple=True, help=DEVICE_HELP)
@devices_file_option
@progress_options
def doctor(
    targets: tuple[str, ...], devices: tuple[str, ...], device_files: tuple[Path, ...], reporter: Reporter
) -> int:
    """Say what works here: versions, the native library, and which targets build, run and pass their canaries.

    For each target the code of a small model is generated. If a device runs the code, it judges a mutant that must
    survive and one that must be killed. A remote device is asked whether it answers. The exit code is 3 if a verdict
    is wrong.
    """
    named = [*map(parse_device, targets), *parse_devices(devices, device_files)]
    examined = named or [parse_device(text) for text in _TARGETS]
    for name, value in msgspec.structs.asdict(environment()).items():
        click.echo(f"{name}: {_shown(value)}")
    click.echo(f"native library: {_native()}")
    healthy = True
    with held_folder("doctor") as folder:
        subject = prepare_subject(_MODEL, "zoo://digits", folder, limit=_INPUTS)
        for number, device in enumerate(examined):
            click.echo(f"device {_shown_device(device)}")
            found = _examine(device, subject, folder / str(number), reporter)
            for name, value in zip(("code", "runs", "canaries"), found, strict=True):
                click.echo(f"  {name}: {' '.join(value.split())}")
            healthy = healthy and not found[-1].startswith(_FAILED)
    return int(ExitCode.OK if healthy else ExitCode.UNTRUSTED)


def _examine(device: Device, subject: Subject, folder: Path, reporter: Reporter) -> tuple[str, str, str]:
    """What is said of a device: whether code is generated, whether it runs, and the verdicts of the canaries."""
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
            reporter=reporter,
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
    """Why the device does not run code, in a few words; None if it should."""
    target = parse_target(device.target)
    kind, tools = target.kind.name, device.toolchain
    if (kind == "c" or device.is_remote) and not tools.is_there:
        return missing_compiler("its code", tools)
    if device.is_remote:
        return why_no_session(device, _PATIENCE_SECONDS) or None
    if kind == "llvm":
        return why_not_on_processor(target)
    try:
        device.runtime()
    except UsageError:
        return f"no {kind} device"
    return None


def _shown_device(device: Device) -> str:
    """The target of a device that has no options, else its name."""
    return device.target if device == parse_device(device.target) else device.name


def _native() -> str:
    """The version and operators of the optional native library, or why it is missing."""
    library = native_library()
    if not library:
        return f"no: {library.obstacle}"
    operators = native_operators()
    return f"yes, for apache-tvm-ffi {library.built_for}; {len(operators)} operators: {', '.join(operators)}"


def _shown(value: object) -> str:
    return ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, dict) else str(value)


def why_not_on_processor(target: Target) -> str | None:
    """Why code for an ``llvm`` target would crash on this processor, in a few words; None if it should run.

    LLVM describes a processor by its instruction sets and by tuning hints. Only the instruction sets that LLVM can
    detect on the host count.
    """
    triple = str(target.attrs.get("mtriple", "")) or host_triple()
    if _architecture(triple) != _architecture(host_triple()):
        return f"code for {_architecture(triple)}, on {_architecture(host_triple())}"
    here = host_features()
    wanted = {str(feature) for feature in codegen.llvm_get_cpu_features(target)}
    missing = sorted(
        feature for feature in wanted if not here.get(feature, True) and not _NEVER_GENERATED.fullmatch(feature)
    )
    return f"this processor lacks {', '.join(missing)}" if missing else None


def host_triple() -> str:
    """LLVM's name for this machine, such as ``x86_64-unknown-linux-gnu``."""
    return str(codegen.llvm_get_system_triple())


def host_features() -> dict[str, bool]:
    """The instruction sets that LLVM looks for on this machine, and whether each exists; empty if LLVM cannot tell."""
    detect = tvm.get_global_func("tvm.codegen.llvm.GetHostCPUFeatures", allow_missing=True)
    return {str(name): bool(there) for name, there in detect().items()} if detect else {}


def _architecture(triple: str) -> str:
    return triple.partition("-")[0]

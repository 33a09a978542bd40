"""``tvm-mutate doctor``: what works here."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import tvm
from rich.table import Table

from tvm_mutate.build import generate, generated_text, parse_target
from tvm_mutate.campaign import CANARIES, Campaign, Specification, Subject, make_reporter
from tvm_mutate.campaign.environment import environment
from tvm_mutate.campaign.preparation import prepare_subject
from tvm_mutate.cli.door import output_console, progress_console
from tvm_mutate.device import Device, run_isolated
from tvm_mutate.errors import ExitCode, UntrustedError, UsageError
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.pipeline import Stages, kernels_of

_PATIENT = "zoo://resnet"
_INPUTS = 4
_CODE_SECONDS = 300.0
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
@click.option("--target", "targets", multiple=True, help="Look at these targets only; repeatable.")
@click.option("--quiet", is_flag=True, help="No progress.")
def doctor(targets: tuple[str, ...], quiet: bool) -> int:
    """Say which versions are here, which targets build and run, and whether the canaries come out right."""
    console = output_console()
    for name, value in environment().items():
        console.print(f"{name}: {value}")
    table = Table("target", "code", "runs here", "canaries")
    healthy = True
    with tempfile.TemporaryDirectory(prefix="tvm_mutate-doctor-") as folder:
        subject = prepare_subject(_PATIENT, "zoo://digits", Path(folder), limit=_INPUTS)
        for text in targets or _TARGETS:
            row = _examine(text, subject, Path(folder), quiet)
            healthy = healthy and not row[-1].startswith("FAILED")
            table.add_row(*row)
    console.print(table)
    return int(ExitCode.OK if healthy else ExitCode.UNTRUSTED)


def _examine(text: str, subject: Subject, folder: Path, quiet: bool) -> tuple[str, str, str, str]:
    """Whether code is generated for the target, whether it runs, and what became of the canaries."""
    ending = run_isolated(lambda _stage: _code_size(text, subject.reference), _CODE_SECONDS)
    if ending.kind != "finished":
        return text, f"no ({ending.reason[:60]})", "-", "-"
    code = f"yes ({ending.value // 1024} KiB)"
    try:
        device = Device.parse(text)
        device.runtime()
        _ensure_processor(device)
    except UsageError:
        return text, code, "no", "-"
    specification = Specification(mutants=tuple(canary.mutant for canary in CANARIES))
    output = folder / device.name
    try:
        campaign = Campaign(
            [subject], [device], specification, output, reporter=make_reporter(quiet, progress_console())
        )
        canaries = campaign.run().canaries
    except UntrustedError as error:
        return text, code, "yes", f"FAILED: {error}"
    return text, code, "yes", ", ".join(f"{canary['canary']}: {canary['verdict']}" for canary in canaries)


def _code_size(text: str, reference: str) -> int:
    target = parse_target(text)
    module = generate(kernels_of(Stages(load_model(reference).module, target).at(Slot.KERNEL)), target)
    return len(generated_text(module, target.kind.name))


def _ensure_processor(device: Device) -> None:
    """Refuses code for instructions that this processor lacks: it would only crash."""
    target = parse_target(device.target)
    if "mcpu" not in device.target or target.kind.name != "llvm":
        return
    wanted = set(tvm.target.codegen.llvm_get_cpu_features(target))
    here = set(tvm.target.codegen.llvm_get_cpu_features(parse_target({"kind": "llvm", "mcpu": _host_cpu()})))
    if missing := wanted - here:
        raise UsageError(f"device {device.name}: this processor lacks {', '.join(sorted(missing)[:4])}")


def _host_cpu() -> str:
    return str(tvm.target.codegen.llvm_get_system_cpu())

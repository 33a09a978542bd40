"""``tvm-mutate doctor``: what works here."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from tvm_mutate.build import c_compiler, generate, generated_text, parse_target
from tvm_mutate.campaign import CANARIES, Campaign, Specification, Subject, make_reporter
from tvm_mutate.campaign.environment import environment
from tvm_mutate.campaign.preparation import prepare_subject
from tvm_mutate.cli.door import output_console, progress_console
from tvm_mutate.cli.options import quiet_option
from tvm_mutate.cli.processor import obstacle
from tvm_mutate.device import Device, held_folder, run_isolated
from tvm_mutate.errors import ExitCode, UntrustedError, UsageError
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.native import native_library
from tvm_mutate.passes import native_operators
from tvm_mutate.pipeline import Stages, kernels_of

_PATIENT = "zoo://alexnet"
_INPUTS = 4
_FAILED = "FAILED"
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
@click.option("--target", "targets", multiple=True, help="Look at this target only; repeatable.")
@quiet_option
def doctor(targets: tuple[str, ...], quiet: bool) -> int:
    """Say what works here: versions, the native library, and which targets build, run and pass their canaries.

    For each target a small model's code is generated; where a device runs it, a mutant that must survive and one
    that must be killed are judged on it. Exits with 3 if the judgement of a target that runs is wrong.
    """
    for text in targets:
        parse_target(text)
    console = output_console()
    for name, value in environment().items():
        console.print(f"{name}: {_shown(value)}")
    console.print(f"native library: {escape(_native())}")
    table = Table()
    for column in ("target", "code", "runs here", "canaries"):
        table.add_column(column, overflow="fold")
    healthy = True
    with held_folder("doctor") as folder:
        subject = prepare_subject(_PATIENT, "zoo://digits", folder, limit=_INPUTS)
        for number, text in enumerate(targets or _TARGETS):
            row = _examine(text, subject, folder / str(number), quiet)
            healthy = healthy and not row[-1].startswith(_FAILED)
            table.add_row(*map(escape, row))
    console.print(table)
    return int(ExitCode.OK if healthy else ExitCode.UNTRUSTED)


def _examine(text: str, subject: Subject, folder: Path, quiet: bool) -> tuple[str, str, str, str]:
    """The target, whether code is generated for it, whether that runs, and what became of the canaries."""
    ending = run_isolated(lambda _stage: _code_size(text, subject.reference), _CODE_SECONDS)
    if ending.kind != "finished":
        return text, f"no: {ending.reason}", "-", "-"
    code = f"yes ({ending.value // 1024} KiB)"
    if (reason := _why_not_run(text)) is not None:
        return text, code, f"no: {reason}", "-"
    specification = Specification(mutants=tuple(canary.mutant for canary in CANARIES))
    try:
        campaign = Campaign(
            [subject],
            [Device.parse(text)],
            specification,
            folder,
            workers=1,
            reporter=make_reporter(quiet, progress_console()),
        )
        canaries = campaign.run().canaries
    except UntrustedError as error:
        return text, code, "yes", f"{_FAILED}: {error}"
    return text, code, "yes", ", ".join(f"{canary['canary']}: {canary['verdict']}" for canary in canaries)


def _code_size(text: str, reference: str) -> int:
    target = parse_target(text)
    stages = Stages(load_model(reference).module, target)
    module = generate(kernels_of(stages.runnable(stages.at(Slot.KERNEL))), target)
    return len(generated_text(module, target.kind.name))


def _why_not_run(text: str) -> str | None:
    """Why code for the target does not run here, in a few words; None if it should."""
    target = parse_target(text)
    kind = target.kind.name
    if kind == "llvm":
        return obstacle(target)
    if kind == "c":
        return None if shutil.which(c_compiler()) else f"no C compiler {c_compiler()!r}; set CC to one"
    try:
        Device.parse(text).runtime()
    except UsageError:
        return f"no {kind} device"
    return None


def _native() -> str:
    """What the optional native library was built for and has, or why it is not there."""
    library = native_library()
    if not library:
        return f"no: {library.obstacle}"
    operators = native_operators()
    return f"yes, for apache-tvm-ffi {library.built_for}; {len(operators)} operators: {', '.join(operators)}"


def _shown(value: object) -> str:
    return ", ".join(f"{name} {each}" for name, each in value.items()) if isinstance(value, dict) else str(value)

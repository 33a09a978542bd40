"""``tvm-mutate show``: what a mutant changes, in the IR and in the generated code."""

from __future__ import annotations

import re
from typing import Any

import click

from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.cli.console import output_console
from tvm_mutate.cli.options import flow_of, program_arguments, program_options
from tvm_mutate.device import EndingKind, run_isolated
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import generated_text, host_text, parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import selections_by_slot, unified_difference
from tvm_mutate.pipeline import Selections, Stages, generate, kernels_of
from tvm_mutate.report.changes import Changes

_CODE_SECONDS = 600.0
# LLVM's comments depend on whether the IR was read from a file.
_COMMENT = re.compile(r"^;.*\n| +; preds = .*$", re.MULTILINE)


@click.command("show")
@click.argument("mutant")
@click.argument("model")
@click.option("--target", help="Lower for this target (default: llvm), and show also how its generated code differs.")
@program_options
@click.option(
    "--context", type=click.IntRange(min=0), default=3, show_default=True, help="Unchanged lines around a change."
)
def show(mutant: str, model: str, target: str | None, context: int, **options: Any) -> None:
    """Show what MUTANT changes in MODEL, as a difference of TVMScript and of generated code.

    MUTANT is an id as `tvm-mutate list` prints it. MODEL is the path of an .onnx or .py file, zoo://NAME or real://NAME.
    The target needs no device: code is generated and not run.
    """
    catalogue = load_catalogue()
    parsed = catalogue.parse(mutant)
    flow = flow_of(options)
    stages = Stages(load_model(model, **program_arguments(options)).module, parse_target(target or "llvm"), flow)
    survey(stages, Specification(mutants=(str(parsed),)), catalogue)  # refuses a site that does not exist
    selections = selections_by_slot(parsed.mutations, catalogue)
    differences = [line for each in Changes(stages).of(selections) for line in each.differences(context)]
    texts = ["\n".join(differences) or "the TVMScript is the same"]
    if target is not None:
        texts.append(code_difference(str(parsed), selections, stages, context))
    for text in filter(None, texts):
        print_difference(text)


def code_difference(mutant: str, selections: Selections, stages: Stages, context: int) -> str:
    """The unified difference of the code that is generated for the stages' target with and without the mutant.

    For a GPU the code of the host follows. A mutant of generated code has no difference here, since
    ``Changes`` shows the same one, unless the change is lost in the machine code. Code is generated in a
    child process; raises UsageError if the code generator refuses or dies.
    """
    kind = stages.target.kind.name
    texts = []
    chosen: Selections
    for name, chosen in (("the unmutated model", {}), (mutant, selections)):
        ending = run_isolated(lambda _stage, chosen=chosen: _code(chosen, stages), _CODE_SECONDS)  # type: ignore[misc]
        if ending.kind != EndingKind.FINISHED:
            raise UsageError(f"code for {kind} cannot be generated for {name}: {ending.reason}")
        texts.append(ending.value)
    (code, host), (mutated_code, mutated_host) = texts
    differences = [
        unified_difference(code, mutated_code, kind, context),
        unified_difference(host, mutated_host, f"{kind}/host", context),
    ]
    difference = "\n".join(filter(None, differences))
    if set(selections) == {Slot.TEXT}:
        return "" if difference else "the machine code that LLVM makes of it is the same"
    return difference or f"the code generated for {kind} is the same"


def _code(selections: Selections, stages: Stages) -> tuple[str, str]:
    """The code, and for a GPU that of the host, which alone has the numbers of blocks and threads."""
    lowered, kind = stages.runnable(stages.mutated(selections, []), selections), stages.target.kind.name
    with stages.mutated_flow(selections) as flow:
        module = generate(kernels_of(lowered), stages.target, flow)
    code = generated_text(module, kind)
    return _COMMENT.sub("", code) if kind == "llvm" else code, host_text(module, kind)


def print_difference(text: str) -> None:
    """Prints a unified difference, coloured on a terminal."""
    console = output_console()
    if console.is_terminal:
        from rich.syntax import Syntax  # here, because the import takes a tenth of a second

        console.print(Syntax(text, "diff", background_color="default", word_wrap=True))
    else:
        click.echo(text)

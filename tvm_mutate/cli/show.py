"""``tvm-mutate show``: what a mutant changes, in the IR and in the generated code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click
import tvm_ffi
from rich.syntax import Syntax

from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.cli.constant_text import constant_differences, script_with_constants
from tvm_mutate.cli.door import output_console
from tvm_mutate.cli.options import shape_option, shapes_of
from tvm_mutate.device import EndingKind, run_isolated
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import generate, generated_text, host_text, parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Catalogue, Mutant, Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import Selection, apply_mutations, apply_to_code, selections_by_slot, unified_difference
from tvm_mutate.pipeline import (
    GeneratedCode,
    Selections,
    Stages,
    kernels_of,
    mutated_tir_pipeline,
    pass_names,
    with_faults,
)

_CODE_SECONDS = 600.0
_COMMENT = re.compile(r"^;.*\n| +; preds = .*$", re.MULTILINE)


@click.command("show")
@click.argument("mutant")
@click.argument("model")
@click.option("--target", help="Lower for this target (default: llvm), and show also how its generated code differs.")
@shape_option
@click.option(
    "--context", type=click.IntRange(min=0), default=3, show_default=True, help="Unchanged lines around a change."
)
def show(mutant: str, model: str, target: str | None, context: int, **options: Any) -> None:
    """Show what MUTANT changes in MODEL, as a difference of TVMScript and of generated code.

    MUTANT is an id as `tvm-mutate list` tells it. MODEL is the path of an .onnx or .py file, zoo://NAME or real://NAME.
    The target needs no device: code is generated and not run.
    """
    catalogue = load_catalogue()
    parsed = catalogue.parse(mutant)
    stages = Stages(load_model(model, shape=shapes_of(options)).module, parse_target(target or "llvm"))
    survey(stages, Specification(mutants=(str(parsed),)), catalogue)  # refuses places that are not there
    script = "\n".join(script_differences(parsed, stages, catalogue, context)) or "the TVMScript is the same"
    code = None if target is None else code_difference(parsed, stages, catalogue, context)
    for text in filter(None, (script, code)):
        print_difference(text)


def script_differences(mutant: Mutant, stages: Stages, catalogue: Catalogue, context: int) -> list[str]:
    """The unified differences of every function that the mutant changes, slot by slot: of TVMScript, or of code.

    Behind those of TVMScript stands how the constants of these functions differ. Of a fault in the compiler they are
    the differences of its lists of passes.
    """
    differences = []
    for slot, selections in selections_by_slot(mutant.mutations, catalogue).items():
        if slot is Slot.TEXT:
            differences += _text_differences(stages.code(), selections, context)
            continue
        if slot is Slot.PIPELINE:
            differences += _pass_differences(selections, stages, context)
            continue
        before = stages.at(slot)
        after, _ = apply_mutations(before, selections)
        for name in sorted(variable.name_hint for variable in after.functions):
            if not tvm_ffi.structural_equal(before[name], after[name]):
                scripts = script_with_constants(before[name]), script_with_constants(after[name])
                differences.append(unified_difference(*scripts, f"{slot}/{name}", context))
                differences += constant_differences(before[name], after[name])
    return differences


def _text_differences(code: GeneratedCode, selections: Sequence[Selection], context: int) -> list[str]:
    mutated = GeneratedCode(code.kind, tuple(apply_to_code(text, code.kind, selections)[0] for text in code.texts))
    before, after = code.kernels(), mutated.kernels()
    return [
        unified_difference("\n".join(before[name]), "\n".join(after[name]), f"{Slot.TEXT}/{name}", context)
        for name in sorted(before)
        if before[name] != after[name]
    ]


def _pass_differences(selections: list[Selection], stages: Stages, context: int) -> list[str]:
    """The differences of the pass lists of the functions that have a fault in them."""
    differences = []
    for kind, lists in (("relax", stages.relax_passes), ("tir", stages.tir_passes)):
        faulty = with_faults(lists, selections)
        for name in lists:
            if faulty[name] is not lists[name]:
                before, after = ("\n".join(pass_names({name: each[name]})) for each in (lists, faulty))
                differences.append(unified_difference(before, after, f"pipeline/{kind}/{name}", context))
    return differences


def code_difference(mutant: Mutant, stages: Stages, catalogue: Catalogue, context: int) -> str:
    """The unified difference of the code that is generated for the stages' target with and without the mutant.

    It is empty for a mutant of generated code alone, whose difference that is, unless it does not reach machine code.
    For a GPU it has the code of the host behind that of the device.
    Code is generated in a child process; raises UsageError where the code generator refuses or dies.
    """
    kind = stages.target.kind.name
    texts = []
    for name, selections in (
        ("the unmutated model", {}),
        (str(mutant), selections_by_slot(mutant.mutations, catalogue)),
    ):
        ending = run_isolated(lambda _stage, chosen=selections: _code(chosen, stages), _CODE_SECONDS)  # type: ignore[misc]
        if ending.kind != EndingKind.FINISHED:
            raise UsageError(f"code for {kind} cannot be generated for {name}: {ending.reason}")
        texts.append(ending.value)
    (code, host), (mutated_code, mutated_host) = texts
    differences = [
        unified_difference(code, mutated_code, kind, context),
        unified_difference(host, mutated_host, f"{kind}/host", context),
    ]
    difference = "\n".join(filter(None, differences))
    if all(operator.slots == (Slot.TEXT,) for operator in (catalogue[each.operator] for each in mutant.mutations)):
        return "" if difference else "the machine code that LLVM makes of it is the same"
    return difference or f"the code generated for {kind} is the same"


def _code(selections: Selections, stages: Stages) -> tuple[str, str]:
    """The code, and for a GPU that of the host, where alone the numbers of blocks and threads stand."""
    lowered, kind = stages.runnable(stages.mutated(selections, []), selections), stages.target.kind.name
    with mutated_tir_pipeline(selections, stages.target) as tir_pipeline:
        module = generate(kernels_of(lowered), stages.target, tir_pipeline)
    code = generated_text(module, kind)
    # What LLVM remarks in comments changes where its IR was read from a file.
    return _COMMENT.sub("", code) if kind == "llvm" else code, host_text(module, kind)


def print_difference(text: str) -> None:
    """Prints a unified difference, coloured on a terminal."""
    console = output_console()
    if console.is_terminal:
        console.print(Syntax(text, "diff", background_color="default", word_wrap=True))
    else:
        click.echo(text)

"""``tvm-mutate show``: what a mutant changes, in the IR and in the generated code."""

from __future__ import annotations

import re
from typing import Any

import click
import numpy as np
import tvm
import tvm_ffi
import xxhash
from rich.syntax import Syntax
from tvm import relax
from tvm.ir import GenericConst

from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import survey
from tvm_mutate.cli.console import output_console
from tvm_mutate.cli.options import shape_option, shapes_of
from tvm_mutate.device import EndingKind, run_isolated
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import generated_text, host_text, parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.operators import load_catalogue
from tvm_mutate.passes import apply_mutations, apply_to_code, selections_by_slot, unified_difference
from tvm_mutate.pipeline import (
    GeneratedCode,
    Selections,
    Stages,
    generate,
    kernels_of,
    mutated_tir_pipeline,
    pass_names,
    with_faults,
)

_CODE_SECONDS = 600.0
# LLVM's comments depend on whether the IR was read from a file.
_COMMENT = re.compile(r"^;.*\n| +; preds = .*$", re.MULTILINE)
_CONSTANT = re.compile(r'metadata\["ir\.GenericConst"\]\[(\d+)\]')
_SHOWN_ELEMENTS = 4


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

    MUTANT is an id as `tvm-mutate list` prints it. MODEL is the path of an .onnx or .py file, zoo://NAME or real://NAME.
    The target needs no device: code is generated and not run.
    """
    catalogue = load_catalogue()
    parsed = catalogue.parse(mutant)
    stages = Stages(load_model(model, shape=shapes_of(options)).module, parse_target(target or "llvm"))
    survey(stages, Specification(mutants=(str(parsed),)), catalogue)  # refuses a site that does not exist
    selections = selections_by_slot(parsed.mutations, catalogue)
    texts = ["\n".join(script_differences(selections, stages, context)) or "the TVMScript is the same"]
    if target is not None:
        texts.append(code_difference(str(parsed), selections, stages, context))
    for text in filter(None, texts):
        print_difference(text)


def script_differences(selections: Selections, stages: Stages, context: int) -> list[str]:
    """The unified differences of the changed functions, by slot: of TVMScript or generated code, then of constants.

    For the slot ``pipeline`` these are the differences of TVM's lists of passes.
    """
    differences = []
    for slot in selections:
        if slot is Slot.TEXT:
            differences += _text_differences(selections, stages.code(), context)
            continue
        if slot is Slot.PIPELINE:
            differences += _pass_differences(selections, stages, context)
            continue
        before = stages.at(slot)
        after, _ = apply_mutations(before, selections[slot])
        for name in sorted(variable.name_hint for variable in after.functions):
            if not tvm_ffi.structural_equal(before[name], after[name]):
                scripts = script_with_constants(before[name]), script_with_constants(after[name])
                differences.append(unified_difference(*scripts, f"{slot}/{name}", context))
                differences += _constant_differences(before[name], after[name])
    return differences


def _text_differences(selections: Selections, code: GeneratedCode, context: int) -> list[str]:
    texts = tuple(apply_to_code(text, code.kind, selections[Slot.TEXT])[0] for text in code.texts)
    before, after = code.kernels(), GeneratedCode(code.kind, texts).kernels()
    return [
        unified_difference("\n".join(before[name]), "\n".join(after[name]), f"{Slot.TEXT}/{name}", context)
        for name in sorted(before)
        if before[name] != after[name]
    ]


def _pass_differences(selections: Selections, stages: Stages, context: int) -> list[str]:
    differences = []
    for kind, lists in (("relax", stages.relax_passes), ("tir", stages.tir_passes)):
        faulty = with_faults(lists, selections[Slot.PIPELINE])
        for name in lists:
            if faulty[name] is not lists[name]:
                before, after = ("\n".join(pass_names({name: each[name]})) for each in (lists, faulty))
                differences.append(unified_difference(before, after, f"pipeline/{kind}/{name}", context))
    return differences


def script_with_constants(function: tvm.ir.BaseFunc) -> str:
    """The TVMScript of a function; each constant tensor is named by its dtype, shape and a hash of its bytes."""
    script = function.script(show_meta=False)
    if not _CONSTANT.search(script):
        return script
    constants = _constants(function)
    return _CONSTANT.sub(lambda match: _constant_name(constants[int(match[1])]), script)


def _constants(function: tvm.ir.BaseFunc) -> list[np.ndarray]:
    """The distinct constants in the order of their first use, in which TVM's printer numbers them."""
    found: list[Any] = []

    def note(node: Any) -> None:
        if isinstance(node, GenericConst) and not any(node.same_as(other) for other in found):
            found.append(node)

    if isinstance(function, relax.Function):
        relax.analysis.post_order_visit(function, note)
    return [np.ascontiguousarray(node.value.numpy()) for node in found]


def _constant_name(values: np.ndarray) -> str:
    shape = ", ".join(map(str, values.shape))
    return f"<{values.dtype}[{shape}] {xxhash.xxh3_64_hexdigest(values.tobytes())[:8]}>"


def _constant_differences(before: tvm.ir.BaseFunc, after: tvm.ir.BaseFunc) -> list[str]:
    """One line for each changed constant; none if constants were added or removed."""
    old, new = _constants(before), _constants(after)
    if [values.shape for values in old] != [values.shape for values in new]:
        return []
    pairs = [(first, second) for first, second in zip(old, new, strict=True) if first.tobytes() != second.tobytes()]
    return [_elements(first, second) for first, second in pairs]


def _elements(before: np.ndarray, after: np.ndarray) -> str:
    unequal = before.view(f"u{before.itemsize}") != after.view(f"u{after.itemsize}") if before.ndim else before != after
    places = np.argwhere(unequal)
    shown = [f"{[int(axis) for axis in place]}: {before[tuple(place)]} -> {after[tuple(place)]}" for place in places]
    more = ", …" if len(shown) > _SHOWN_ELEMENTS else ""
    elements = f"{len(places)} of {before.size} elements differ"
    return (
        f"{_constant_name(before)} -> {_constant_name(after)}: {elements}, {', '.join(shown[:_SHOWN_ELEMENTS])}{more}"
    )


def code_difference(mutant: str, selections: Selections, stages: Stages, context: int) -> str:
    """The unified difference of the code that is generated for the stages' target with and without the mutant.

    For a GPU the code of the host follows. A mutant of generated code has no difference here, since
    ``script_differences`` shows the same one, unless the change is lost in the machine code. Code is generated in a
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
    with mutated_tir_pipeline(selections, stages.target) as tir_pipeline:
        module = generate(kernels_of(lowered), stages.target, tir_pipeline)
    code = generated_text(module, kind)
    return _COMMENT.sub("", code) if kind == "llvm" else code, host_text(module, kind)


def print_difference(text: str) -> None:
    """Prints a unified difference, coloured on a terminal."""
    console = output_console()
    if console.is_terminal:
        console.print(Syntax(text, "diff", background_color="default", word_wrap=True))
    else:
        click.echo(text)

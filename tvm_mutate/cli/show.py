"""``tvm-mutate show``: what a mutant changes, in the IR and in the generated code."""

from __future__ import annotations

from typing import Any

import click

from tvm_mutate.api import difference
from tvm_mutate.cli.console import output_console
from tvm_mutate.cli.options import GroupedCommand, flow_of, model_argument, program_arguments, program_options
from tvm_mutate.model import load_model


@click.command("show", cls=GroupedCommand)
@click.argument("mutant")
@model_argument
@click.option("--target", help="Lower for this target (default: llvm), and show also how its generated code differs.")
@program_options
@click.option(
    "--context", type=click.IntRange(min=0), default=3, show_default=True, help="Unchanged lines around a change."
)
def show(mutant: str, model: str, target: str | None, context: int, **options: Any) -> None:
    """Show what MUTANT changes in MODEL, as a difference of TVMScript and of generated code.

    MUTANT is an id as `tvm-mutate list` prints it. MODEL is as in `tvm-mutate run`.
    The target needs no device: code is generated and not run.
    """
    loaded = load_model(model, **program_arguments(options))
    in_code = target is not None
    print_difference(
        difference(loaded, mutant, target=target or "llvm", flow=flow_of(options), context=context, code=in_code)
    )


def print_difference(text: str) -> None:
    """Prints a unified difference, coloured on a terminal."""
    console = output_console()
    if console.is_terminal:
        from rich.syntax import Syntax  # here, because the import takes a tenth of a second

        console.print(Syntax(text, "diff", background_color="default", word_wrap=True))
    else:
        click.echo(text)

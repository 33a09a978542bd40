"""``tvm-mutate operators``: the catalogue."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click
from rich.table import Table

from tvm_mutate.cli.catalogue_markdown import operators_markdown, remarks
from tvm_mutate.cli.door import output_console
from tvm_mutate.mutant import Operator
from tvm_mutate.operators import load_catalogue


@click.command("operators")
@click.argument("globs", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table, with every variant.")
@click.option("--markdown", is_flag=True, help="Markdown instead of a table, with examples and the faults meant.")
def operators(globs: tuple[str, ...], as_json: bool, markdown: bool) -> None:
    """List the operators, or those whose names match any of GLOBS; `default` and `paper` are sets of them.

    Below each name stand its parameters, to be used in mutant ids.
    """
    chosen = load_catalogue().select(globs or ("*",))
    if as_json:
        click.echo(json.dumps([operator_mapping(operator) for operator in chosen], indent=2))
    elif markdown:
        click.echo(operators_markdown(chosen), nl=False)
    else:
        _print_table(chosen)


def _print_table(chosen: Sequence[Operator]) -> None:
    table = Table(title=f"{len(chosen)} operators")
    table.add_column("operator", overflow="fold", min_width=max((len(each.name) for each in chosen), default=0))
    for column in ("slots", "category", "what it does"):
        table.add_column(column, overflow="fold")
    table.columns[0].min_width = max(len(operator.name) for operator in chosen)  # names are there to be copied
    for operator in chosen:
        parameters = "\n".join(
            f"  {each.name}={'|'.join(each.choices) or each.kind.__name__}" for each in operator.parameters
        )
        mark = "".join(f" ({remark})" for remark in remarks(operator))
        table.add_row(
            f"{operator.name}\n{parameters}".rstrip(),
            "\n".join(str(slot) for slot in operator.slots),
            str(operator.category),
            operator.description + mark,
        )
    output_console().print(table)


def operator_mapping(operator: Operator) -> dict[str, Any]:
    """An operator as what JSON can hold."""
    return {
        "name": operator.name,
        "slots": [str(slot) for slot in operator.slots],
        "category": str(operator.category),
        "description": operator.description,
        "fault": operator.fault,
        "paper": operator.paper,
        "by_default": operator.by_default,
        "undefined_behaviour": operator.undefined_behaviour,
        "parameters": [
            {
                "name": each.name,
                "description": each.description,
                "default": each.default,
                "choices": list(each.choices),
                "type": each.kind.__name__,
            }
            for each in operator.all_parameters()
        ],
        "variants": [dict(variant) for variant in operator.variants],
        "more_variants": [dict(variant) for variant in operator.more_variants],
    }

"""``tvm-mutate operators``: the catalogue, as text, JSON or Markdown (``docs/operators.md``)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from tvm_mutate.api import list_operators
from tvm_mutate.cli.console import print_results
from tvm_mutate.cli.options import operator_names
from tvm_mutate.mutant import Category, Example, Operator, Parameter
from tvm_mutate.report.tables import whole_line

_HEAD = """# Operators

Made by `tvm-mutate operators --markdown`. *Paper* marks the mutations of MutateNN (arXiv 2306.01697); *not by default*
those that a campaign takes only when they are named.
"""


@click.command("operators")
@click.argument("globs", nargs=-1, shell_complete=operator_names)
@click.option("--json", "as_json", is_flag=True, help="JSON instead of text, with every variant.")
@click.option("--markdown", is_flag=True, help="Markdown instead of text, with examples and the faults meant.")
def operators(globs: tuple[str, ...], as_json: bool, markdown: bool) -> None:
    """List the operators, or those whose names match any of GLOBS; `default` and `paper` are sets of them.

    The parameters of an operator are below its name, as a mutant id has them.
    """
    chosen = list_operators(globs or ("*",))
    if as_json:
        click.echo(json.dumps([operator_mapping(operator) for operator in chosen], indent=2))
    elif markdown:
        click.echo(operators_markdown(chosen), nl=False)
    else:
        _print_text(chosen)


def _print_text(chosen: Sequence[Operator]) -> None:
    lines: list[RenderableType] = []
    for category in Category:
        of_category = [operator for operator in chosen if operator.category is category]
        if of_category:
            lines.append(Text(f"{category}\n", "bold"))
        for operator in of_category:
            # The line is not folded: users copy the name.
            lines.append(whole_line(f"  {operator.name}  ({', '.join(map(str, operator.slots))})"))
            lines.append(_below(operator.description + "".join(f" ({remark})" for remark in _remarks(operator))))
            for each in operator.parameters:
                lines.append(_below(f"{each.name}={'|'.join(each.choices) or each.kind.__name__}"))
        if of_category:
            lines.append(Text())
    print_results([*lines, Text(f"{len(chosen)} operators")])


def _below(text: str) -> RenderableType:
    return Padding(Text(text, "dim", overflow="fold"), (0, 0, 0, 6))


def operator_mapping(operator: Operator) -> dict[str, Any]:
    """An operator as values that JSON can hold."""
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


def operators_markdown(chosen: Sequence[Operator]) -> str:
    """A document with a section for each category, and in it one for each operator."""
    lines = [_HEAD]
    for category in Category:
        of_category = [operator for operator in chosen if operator.category is category]
        if of_category:
            lines.append(f"\n## {category}\n")
            lines += [line for operator in of_category for line in _section(operator)]
    return "\n".join(lines).rstrip() + "\n"


def _section(operator: Operator) -> Iterator[str]:
    yield f"### `{operator.name}`\n"
    yield f"{_capitalised(operator.description)}.\n"
    if operator.fault:
        yield f"* Stands for: {operator.fault}"
    yield f"* Slots: {', '.join(f'`{slot}`' for slot in operator.slots)}"
    for remark in _remarks(operator):
        yield f"* {_capitalised(remark)}"
    for parameter in operator.parameters:
        yield f"* `{parameter.name}`: {parameter.description}{_values(parameter)}"
    yield "\n```diff"
    yield from _difference(operator.examples[0])
    yield "```\n"


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def _remarks(operator: Operator) -> list[str]:
    remarks = {
        "paper": operator.paper,
        "undefined behaviour possible": operator.undefined_behaviour,
        "not by default": not operator.by_default,
    }
    return [remark for remark, holds in remarks.items() if holds]


def _values(parameter: Parameter) -> str:
    choices = f" ({', '.join(f'`{choice}`' for choice in parameter.choices)})" if parameter.choices else ""
    default = "" if parameter.default is None else f"; default `{Parameter.write(parameter.default)}`"
    size = parameter.magnitude
    sizes = "" if size is None else f"; sizes {size.least:g} to {size.most:g} for `tvm-mutate critical`"
    return choices + default + sizes


def _difference(example: Example) -> list[str]:
    """The lines of an example's difference, with one unchanged line around each change."""
    before, after = (text.strip("\n").splitlines() for text in (example.before, example.after))
    return [
        line for line in difflib.unified_diff(before, after, n=1, lineterm="") if line[:2] not in ("--", "++", "@@")
    ]

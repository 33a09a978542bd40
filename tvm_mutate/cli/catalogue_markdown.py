"""The catalogue of operators as Markdown: what ``docs/operators.md`` is made of."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from tvm_mutate.mutant import Category, Example, Operator, Parameter

_HEAD = """# Operators

Made by `tvm-mutate operators --markdown`. *Paper* marks the mutations of MutateNN (arXiv 2306.01697); *not by default*
those that a campaign takes only when they are named.
"""


def operators_markdown(operators: Sequence[Operator]) -> str:
    """A document with a section a category and, below it, one an operator: what it does, stands for and changes."""
    lines = [_HEAD]
    for category in Category:
        chosen = [operator for operator in operators if operator.category is category]
        if chosen:
            lines.append(f"\n## {category}\n")
            lines += [line for operator in chosen for line in _section(operator)]
    return "\n".join(lines).rstrip() + "\n"


def remarks(operator: Operator) -> list[str]:
    """What a user has to know of an operator beside its description, in a few words each."""
    return [
        *(["paper"] if operator.paper else []),
        *(["undefined behaviour possible"] if operator.undefined_behaviour else []),
        *([] if operator.by_default else ["not by default"]),
    ]


def _section(operator: Operator) -> Iterator[str]:
    yield f"### `{operator.name}`\n"
    description = operator.description
    yield f"{description[0].upper()}{description[1:]}.\n"
    if operator.fault:
        yield f"* Stands for: {operator.fault}"
    yield f"* Slots: {', '.join(f'`{slot}`' for slot in operator.slots)}"
    for note in remarks(operator):
        yield f"* {note[0].upper()}{note[1:]}"
    for parameter in operator.parameters:
        yield f"* `{parameter.name}`: {parameter.description}{_values(parameter)}"
    yield "\n```diff"
    yield from _difference(operator.examples[0])
    yield "```\n"


def _values(parameter: Parameter) -> str:
    choices = f" ({', '.join(f'`{choice}`' for choice in parameter.choices)})" if parameter.choices else ""
    default = "" if parameter.default is None else f"; default `{Parameter.write(parameter.default)}`"
    size = parameter.magnitude
    sizes = "" if size is None else f"; sizes {size.least:g} to {size.most:g} for `tvm-mutate critical`"
    return choices + default + sizes


def _difference(example: Example) -> list[str]:
    """The lines of an example's difference, with one line around each change."""
    before, after = (text.strip("\n").splitlines() for text in (example.before, example.after))
    return [
        line for line in difflib.unified_diff(before, after, n=1, lineterm="") if line[:2] not in ("--", "++", "@@")
    ]

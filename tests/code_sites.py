"""Describes the sites of an operator in generated code."""

from __future__ import annotations

from tvm_mutate.passes import Selection, Site, kernel_parts
from tvm_mutate.passes.generated_code import rewrite_kernel_text
from tvm_mutate.passes.selection import FunctionSites


def find_code_sites(text: str, kind: str, selection: Selection) -> list[Site]:
    """The sites of the selection in the code, by kernel name and ordinal."""
    found: list[Site] = []
    rule = selection.operator.rule
    for name, parts in sorted(kernel_parts(text, kind).items()):
        if selection.mutation.matches(name) and kind in rule.kinds:
            rewrite_kernel_text(parts, [FunctionSites(selection, name, descriptions=found)])
    return found

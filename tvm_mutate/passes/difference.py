"""What a fault makes of a text, as a unified difference."""

from __future__ import annotations

import difflib


def unified_difference(before: str, after: str, name: str, context: int) -> str:
    """The difference between an unmutated text and its mutant, with lines of context; empty where there is none."""
    names = f"unmutated/{name}", f"mutated/{name}"
    return "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="", n=context))

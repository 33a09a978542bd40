"""Names that are valid identifiers in every language that TVM generates."""

from __future__ import annotations

import re
from collections.abc import Iterable

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED_WORDS = """
    auto bool break case char const constant continue default device do double else enum extern float for global
    goto half if inline int kernel local long main private register return short signed sizeof static struct switch
    this typedef uint union unsigned void volatile while
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


def clean_names(names: Iterable[str]) -> dict[str, str]:
    """A distinct new name for each name: an ASCII identifier that no C dialect reserves.

    A valid name stays as it is. In others each forbidden character becomes ``_``, and a number is added if the new name
    is taken. The empty name, which means "absent" in ONNX, is left out.
    """
    distinct = [name for name in dict.fromkeys(names) if name]
    renamed = {name: name for name in distinct if _IDENTIFIER.fullmatch(name) and name not in _RESERVED}
    taken = set(renamed)
    for name in distinct:
        if name not in renamed:
            renamed[name] = _fresh(re.sub(r"[^A-Za-z0-9_]", "_", name), taken)
            taken.add(renamed[name])
    return renamed


def _fresh(name: str, taken: set[str]) -> str:
    base = name if re.match(r"[A-Za-z_]", name) else f"_{name}"
    candidate, number = base, 0
    while candidate in taken or candidate in _RESERVED:
        number += 1
        candidate = f"{base}_{number}"
    return candidate

"""Constants in TVMScript, which does not print them: names for their bytes, and what differs between two."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import tvm
import xxhash
from tvm import relax
from tvm.ir import GenericConst

_CONSTANT = re.compile(r'metadata\["ir\.GenericConst"\]\[(\d+)\]')
_SHOWN_ELEMENTS = 4


def script_with_constants(function: tvm.ir.BaseFunc) -> str:
    """The TVMScript of a function with each constant tensor named by its dtype, shape and the hash of its bytes."""
    script = function.script(show_meta=False)
    if not _CONSTANT.search(script):
        return script
    constants = _constants(function)
    return _CONSTANT.sub(lambda match: _name(constants[int(match[1])]), script)


def constant_differences(before: tvm.ir.BaseFunc, after: tvm.ir.BaseFunc) -> list[str]:
    """One line for each constant tensor that a function has in another's place: how much of it differs, and where.

    Functions in which constants came or went, rather than changed, have no such lines.
    """
    old, new = _constants(before), _constants(after)
    if [values.shape for values in old] != [values.shape for values in new]:
        return []
    return [_difference(first, second) for first, second in zip(old, new, strict=True) if _name(first) != _name(second)]


def _constants(function: tvm.ir.BaseFunc) -> list[np.ndarray]:
    """The distinct constants in the order of their first use, by which TVM's printer counts them."""
    found: list[Any] = []

    def note(node: Any) -> None:
        if isinstance(node, GenericConst) and not any(node.same_as(other) for other in found):
            found.append(node)

    if isinstance(function, relax.Function):
        relax.analysis.post_order_visit(function, note)
    return [np.ascontiguousarray(node.value.numpy()) for node in found]


def _name(values: np.ndarray) -> str:
    shape = ", ".join(map(str, values.shape))
    return f"<{values.dtype}[{shape}] {xxhash.xxh3_64_hexdigest(values.tobytes())[:8]}>"


def _difference(before: np.ndarray, after: np.ndarray) -> str:
    unequal = before.view(f"u{before.itemsize}") != after.view(f"u{after.itemsize}") if before.ndim else before != after
    places = np.argwhere(unequal)
    shown = [f"{[int(axis) for axis in place]}: {before[tuple(place)]} -> {after[tuple(place)]}" for place in places]
    more = ", …" if len(shown) > _SHOWN_ELEMENTS else ""
    elements = f"{len(places)} of {before.size} elements differ"
    return f"{_name(before)} -> {_name(after)}: {elements}, {', '.join(shown[:_SHOWN_ELEMENTS])}{more}"

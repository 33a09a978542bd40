"""Mutations as TVM passes in C++, where the native library is there and has their operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.native import native_library
from tvm_mutate.passes.application import Applied
from tvm_mutate.passes.mutation_pass import Recorder
from tvm_mutate.passes.selection import Selection

_ALL = -1


def native_operators() -> tuple[str, ...]:
    """The operators that the native library has, sorted by name; none where it is not there."""
    library = native_library()
    return tuple(map(str, library.function("operators")())) if library else ()


def native_mutation_pass(selections: Sequence[Selection], recorder: Recorder | None = None) -> tvm.transform.Pass:
    """The pass of ``mutation_pass`` in C++: the same sites, numbers and replacements.

    Its name, as pass instruments see it, is ``tvm_mutate.native.`` and the operators' names. Raises UsageError if
    the native library is not there, or lacks one of the operators.
    """
    make = native_library().function("mutation_pass")
    known = native_operators()
    for selection in selections:
        if selection.operator.name not in known:
            raise UsageError(f"the native library has no operator {selection.operator.name!r}")
    return make([_arguments(selection) for selection in selections], _reporting(selections, recorder))


def _arguments(selection: Selection) -> tuple[str, dict[str, Any], str, int, int]:
    """Operator, parameters, glob of functions, first and last site, as C++ takes them."""
    sites = selection.mutation.sites
    parameters = {each.name: selection.parameters[each.name] for each in selection.operator.parameters}
    last = _ALL if sites.last is None else sites.last
    return selection.operator.name, parameters, selection.mutation.function, sites.first, last


def _reporting(selections: Sequence[Selection], recorder: Recorder | None) -> Callable[[Any], None] | None:
    """The recorder for the rows of C++; None without one."""
    if recorder is None:
        return None

    def report(rows: Any) -> None:
        applied = [
            Applied(selections[index].mutation, str(name), int(found), tuple(map(int, sites)), bool(changed))
            for index, name, found, sites, changed in rows
        ]
        recorder(applied)

    return report

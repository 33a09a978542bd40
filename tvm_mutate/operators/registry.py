"""The catalogue: the operators of tvm_mutate, and those of installed packages."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib.metadata import entry_points

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import ENTRY_POINT_GROUP, Catalogue, Operator
from tvm_mutate.operators import (
    arithmetic,
    buffers,
    canaries,
    codegen,
    compiler_passes,
    conditions,
    frontends,
    generated_code,
    gpu,
    indices,
    kernel_calls,
    layer_attributes,
    layers,
    loops,
    memory_plan,
    runtime_faults,
    shapes,
    stores,
    weights,
)

_FAMILIES = (
    layers,
    layer_attributes,
    weights,
    stores,
    buffers,
    loops,
    gpu,
    arithmetic,
    conditions,
    indices,
    runtime_faults,
    codegen,
    generated_code,
    compiler_passes,
    kernel_calls,
    memory_plan,
    shapes,
    frontends,
    canaries,
)


@functools.cache
def builtin_catalogue() -> Catalogue:
    """The catalogue of all operators of tvm_mutate: the mutations of MutateNN first, then the others, by family.

    Samples depend on the order.
    """
    operators = [operator for family in _FAMILIES for operator in family.OPERATORS]
    return Catalogue(sorted(operators, key=lambda operator: not operator.paper))


def load_catalogue() -> Catalogue:
    """The catalogue of the operators of tvm_mutate and of all installed packages.

    A package registers an :class:`Operator`, or an iterable of operators, as an entry point of the group
    ``tvm_mutate.operators``. Raises UsageError with the name of an entry point that cannot be loaded or
    is none of these.
    """
    try:
        return Catalogue([*builtin_catalogue().values(), *_offered()])
    except ValueError as error:
        raise UsageError(f"an entry point of {ENTRY_POINT_GROUP} cannot be registered: {error}") from None


def _offered() -> Iterator[Operator]:
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda each: each.name):
        where = f"entry point {entry_point.name!r} of {ENTRY_POINT_GROUP} ({entry_point.value})"
        try:
            offered = entry_point.load()
        except Exception as error:  # whatever a third party's module raises when it is imported
            raise UsageError(f"{where} cannot be loaded: {error}") from None
        operators = [offered] if isinstance(offered, Operator) else list(offered)
        for operator in operators:
            if not isinstance(operator, Operator):
                raise UsageError(f"{where} offers {operator!r}; an Operator or several are expected")
            yield operator

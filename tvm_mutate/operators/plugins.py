"""Operators of third parties, found through the entry-point group ``tvm_mutate.operators``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Operator
from tvm_mutate.operators.builtin import builtin_catalogue

ENTRY_POINT_GROUP = "tvm_mutate.operators"


def load_catalogue() -> Catalogue:
    """The catalogue of our own operators and of every installed package that offers some.

    An entry point names an :class:`Operator` or an iterable of them. Raises UsageError that names the entry point
    where one cannot be loaded or offers something else.
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

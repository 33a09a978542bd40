"""The symbolic dimensions of a program's inputs, and the numbers that ``--shape`` gives them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import tvm
from tvm import relax

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model.names import clean_names
from tvm_mutate.model.scenario import Parameter

# All dimensions of an input by its name, or the numbers of a symbol by its name.
Shapes = Mapping[str, Sequence[int]]
_IMAGE = (1, 3, 224, 224)
_LENGTH = 16


def chosen_sizes(parameters: Sequence[Parameter], shapes: Shapes, source: str) -> dict[str, tuple[int, ...]]:
    """The numbers that ``shapes`` gives to symbols, by symbol: one, or one for each of several bindings.

    Raises UsageError, naming ``source``, for names of neither inputs nor symbols, for numbers below 1, and for shapes
    that contradict the inputs or each other.
    """
    declared = {each.name: each.shape for each in parameters}
    symbols = _symbols(parameters)
    sizes: dict[str, tuple[int, ...]] = {}
    for name, numbers in shapes.items():
        if name not in declared and name not in symbols:
            known = suggestion(name, [*declared, *symbols])
            raise UsageError(f"--shape names {name!r}, which {source} does not have{known}")
        example = f"--shape {name}={_example(declared[name]) if name in declared else _LENGTH}"
        if not numbers or any(isinstance(each, bool) or not isinstance(each, int) or each < 1 for each in numbers):
            raise UsageError(f"--shape {name} is {list(numbers)}; give positive numbers, such as {example}")
        if name not in declared and len(set(numbers)) < len(numbers):
            raise UsageError(f"--shape {name} is {list(numbers)}; give each number once")
        given = [(name, tuple(numbers))]
        if name in declared:
            shape = declared[name]
            fits = len(shape) == len(numbers) and all(
                isinstance(each, str) or each == number for each, number in zip(shape, numbers, strict=True)
            )
            if not fits:
                raise UsageError(
                    f"--shape {name} is {list(numbers)}, but {source} declares {list(shape)}; give such as {example}"
                )
            given = [(each, (n,)) for each, n in zip(shape, numbers, strict=True) if isinstance(each, str)]
        for symbol, size in given:
            if sizes.setdefault(symbol, size) != size:
                raise UsageError(
                    f"--shape gives {symbol!r} of {source} the numbers {sizes[symbol][0]} and {size[0]}; "
                    "the same symbol has the same number everywhere"
                )
    return sizes


def settled_sizes(
    parameters: Sequence[Parameter], sizes: Mapping[str, tuple[int, ...]], source: str
) -> dict[str, tuple[int, ...]]:
    """The sizes with 1 for an open batch, which is a symbol at the front of an input.

    Raises UsageError, naming ``source``, the inputs and the symbols, if others are open.
    """
    batches = {each.shape[0]: (1,) for each in parameters if each.shape and isinstance(each.shape[0], str)}
    settled = {**{str(symbol): size for symbol, size in batches.items()}, **sizes}
    missing = {
        symbol: f"{symbol!r} at position {index} of {each.name!r}"
        for each in reversed(parameters)
        for index, symbol in enumerate(each.shape)
        if isinstance(symbol, str) and symbol not in settled
    }
    if missing:
        first = next(each for each in parameters if set(each.shape) & set(missing))
        raise UsageError(
            f"{source}: has the symbolic dimensions {', '.join(reversed(missing.values()))}; give them with --shape, "
            f"such as --shape {first.name}={_example(first.shape)}"
        )
    return settled


def bindings(parameters: Sequence[Parameter], shapes: Shapes) -> list[dict[str, int]]:
    """The numbers of the symbols that ``parameters`` still have, one mapping for each combination of ``shapes``."""
    cleaned = {**clean_names(shapes), "": ""}
    sizes = {symbol: shapes[name] for name, symbol in cleaned.items() if symbol in _symbols(parameters)}
    return [dict(zip(sizes, each, strict=True)) for each in itertools.product(*sizes.values())]


def check_limits(module: tvm.IRModule, sizes: Mapping[str, tuple[int, ...]], source: str) -> None:
    """Raises UsageError, naming the symbol, for a number outside the limits that a frontend noted in the module."""
    for function in module.functions.values():
        for attribute, breaks in (("tir_var_lower_bound", int.__lt__), ("tir_var_upper_bound", int.__gt__)):
            for symbol, limit in dict((function.attrs or {}).get(attribute) or {}).items():
                for size in sizes.get(str(symbol), ()):
                    if breaks(size, int(limit)):
                        least = "at least" if breaks is int.__lt__ else "at most"
                        raise UsageError(f"--shape: {symbol!r} of {source} must be {least} {int(limit)}, not {size}")


def with_numbers(module: tvm.IRModule, numbers: Mapping[str, int]) -> tvm.IRModule:
    """The module with these numbers for its symbols, in every function that has them."""
    changed = tvm.IRModule(module.functions, module.attrs, module.global_infos)
    for variable, function in module.functions.items():
        if isinstance(function, relax.Function):
            own = {each.name for each in relax.analysis.defined_symbolic_vars(function)} & set(numbers)
            if own:
                changed.update_func(variable, function.bind_symbolic_vars({name: numbers[name] for name in own}))
    return changed


def _symbols(parameters: Sequence[Parameter]) -> list[str]:
    return list(dict.fromkeys(size for each in parameters for size in each.shape if isinstance(size, str)))


def _example(shape: Sequence[int | str]) -> str:
    usual = _IMAGE if len(shape) == len(_IMAGE) else (1, *[_LENGTH] * len(shape))
    return ",".join(str(each if isinstance(each, int) else usual[index]) for index, each in enumerate(shape))

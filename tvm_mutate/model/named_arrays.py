"""Arrays as samples of a program's inputs: their names, dtypes, shapes and ranges."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.model.model import Model
from tvm_mutate.model.random_inputs import RandomInputs
from tvm_mutate.model.scenario import Parameter
from tvm_mutate.model.symbols import settled_sizes
from tvm_mutate.model.vocabulary import table_rows
from tvm_mutate.samples import Samples, is_floating


def samples_of(
    model: Model,
    arrays: Mapping[str, np.ndarray],
    sizes: Mapping[str, int],
    random: RandomInputs | None,
    source: str,
) -> Samples:
    """The samples of a model's inputs: those in ``arrays`` as they are, others from ``random``.

    An array is ``[samples, *shape]``, or ``[samples * batch, *shape without the batch]``, of the input's dtype or of
    one whose values convert to it; a single sample serves for all. ``sizes`` are the numbers of symbols; others follow
    from the arrays. Raises UsageError, naming ``source`` and the input, for surplus and missing inputs, and for arrays
    of another dtype, shape or number of samples, or with indices outside a table.
    """
    names = [each.name for each in model.inputs]
    for name in arrays:
        if name not in names:
            raise UsageError(f"{source}: gives {name!r}, which is no input of {model.name}{suggestion(name, names)}")
    if missing := [name for name in names if name not in arrays and random is None]:
        raise UsageError(
            f"{source}: does not give the input {missing[0]!r} of {model.name}, which takes {', '.join(names)}; give "
            f"--model-input {missing[0]}=FILE.npy, or --random N for the rest"
        )
    known, rows = dict(sizes), table_rows(model.module, model.scenario)
    given = {}
    for each in model.inputs:
        if each.name in arrays:
            given[each.name] = _fitted(each, arrays[each.name], known, model.name, source)
            _check_rows(each.name, given[each.name], rows, source)
    settled = settled_sizes(model.inputs, {symbol: (size,) for symbol, size in known.items()}, source)
    if random is not None:
        random.check(model.inputs)
    count = max((len(each) for each in given.values()), default=random.count if random else 0)
    columns = []
    for each in model.inputs:
        if each.name in given:
            column = given[each.name]
        else:
            assert random is not None
            shape = tuple(settled[size][0] if isinstance(size, str) else size for size in each.shape)
            column = RandomInputs(count, random.seed, random.ranges).array(each, shape, rows.get(each.name))
            _check_rows(each.name, column, rows, source)
        if len(column) not in (1, count):
            raise UsageError(f"{source}: has {len(column)} samples of {each.name!r}, but {count} of another input")
        column = np.ascontiguousarray(np.broadcast_to(column, (count, *column.shape[1:])))
        column.setflags(write=False)
        columns.append(column)
    return Samples(tuple(columns))


def _fitted(parameter: Parameter, array: np.ndarray, sizes: dict[str, int], model: str, source: str) -> np.ndarray:
    """The array as ``[samples, *shape]``; notes the numbers of symbols in ``sizes``."""
    shape = tuple(sizes.get(size, size) if isinstance(size, str) else size for size in parameter.shape)
    batch = shape[0] if shape and isinstance(shape[0], int) else 1
    grouped = array
    if array.ndim == len(shape):
        groups = len(array) // batch if shape else 1
        grouped = array[None] if not shape else array[: groups * batch].reshape(groups, batch, *array.shape[1:])
    fits = grouped.ndim == len(shape) + 1 and all(
        isinstance(size, str) or size == actual for size, actual in zip(shape, grouped.shape[1:], strict=True)
    )
    converted = _converted(grouped, np.dtype(parameter.dtype or array.dtype))
    if not fits or converted is None or not len(grouped):
        front = f"N x {batch}" if batch > 1 else "N"
        wanted = ", ".join(map(str, (front, *shape[1:]) if batch == 1 and shape else ("N", *shape)))
        raise UsageError(
            f"{source}: the input {parameter.name!r} is {array.dtype} {list(array.shape)}, but {model} takes "
            f"{parameter.dtype} [{wanted}]"
        )
    for symbol, actual in zip(shape, grouped.shape[1:], strict=True):
        if isinstance(symbol, str) and sizes.setdefault(symbol, actual) != actual:
            raise UsageError(
                f"{source}: the dimension {symbol!r} of {model} is {sizes[symbol]} and {actual}; "
                "it has the same number in all inputs"
            )
    return converted


def _converted(array: np.ndarray, dtype: np.dtype) -> np.ndarray | None:
    """The array in a dtype: floats become other floats, integers other integers that hold them; None for the rest."""
    if array.dtype == dtype:
        return array
    if is_floating(array.dtype) and is_floating(dtype):
        return array.astype(dtype)
    if array.dtype.kind in "iu" and "int" in dtype.name:
        converted = array.astype(dtype)
        return converted if (converted == array).all() else None
    return None


def _check_rows(name: str, array: np.ndarray, rows: Mapping[str, int], source: str) -> None:
    if name in rows and array.size and not -rows[name] <= int(array.min()) <= int(array.max()) < rows[name]:
        worst = array.max() if array.max() >= rows[name] else array.min()
        raise UsageError(
            f"{source}: the input {name!r} holds {worst}, but it indexes a table of {rows[name]} rows; "
            f"give 0 to {rows[name] - 1}"
        )

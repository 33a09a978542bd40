"""Checks a fast kernel against the plain one, bit by bit, on inputs that networks do not give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tvm

_SEED = 20240229
# One element in so many becomes a special value: few, or all sums would be NaN, and equal.
_ONE_IN = 500
# An element that a kernel forgets keeps what lay there, and that must not be the same for both.
_PLAIN_FILL, _FAST_FILL = 0xA5, 0x5A

Perturbation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def agrees(
    plain: Callable[..., Any],
    fast: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    output_shape: Sequence[int],
    dtype: str,
) -> bool:
    """Whether two compiled kernels give the same bits, on the inputs and on perturbed ones.

    Both are called as ``kernel(*inputs, output)`` on CPU tensors; ``output`` has ``output_shape`` and ``dtype``.
    Perturbed are inputs of floating point: huge, tiny and denormal values; NaN, infinities and zeros of both signs
    at random places; always the same ones.
    """
    return all(
        _result(plain, each, output_shape, dtype, _PLAIN_FILL) == _result(fast, each, output_shape, dtype, _FAST_FILL)
        for each in perturbed(inputs)
    )


def perturbed(inputs: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """The inputs as they are, then perturbed in each way; shapes and dtypes as given."""
    yield [np.ascontiguousarray(each) for each in inputs]
    generator = np.random.default_rng(_SEED)
    for perturb in _PERTURBATIONS:
        yield [perturb(each, generator) if np.issubdtype(each.dtype, np.floating) else each for each in inputs]


def _result(kernel: Callable[..., Any], inputs: list[np.ndarray], shape: Sequence[int], dtype: str, fill: int) -> bytes:
    empty = np.empty(tuple(shape), dtype)
    output = tvm.runtime.tensor(np.full(empty.nbytes, fill, np.uint8).view(empty.dtype).reshape(empty.shape))
    kernel(*(tvm.runtime.tensor(each) for each in inputs), output)
    return output.numpy().tobytes()


def _huge(array: np.ndarray, _generator: np.random.Generator) -> np.ndarray:
    # Products are just below the largest number, and some sums above it.
    return _scaled(array, np.sqrt(np.finfo(array.dtype).max) / 4)


def _tiny(array: np.ndarray, _generator: np.random.Generator) -> np.ndarray:
    # Products are denormal.
    return _scaled(array, np.sqrt(np.finfo(array.dtype).smallest_normal) / 4)


def _scaled(array: np.ndarray, factor: np.floating) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.ascontiguousarray((array * factor).astype(array.dtype))


def _sprinkled(*values: float) -> Perturbation:
    def sprinkle(array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        with np.errstate(over="ignore", under="ignore"):
            special = np.array(values).astype(array.dtype)
        perturbed = np.array(array)
        where = generator.integers(0, max(array.size, 1), size=min(-(-array.size // _ONE_IN), array.size))
        perturbed.reshape(-1)[where] = generator.choice(special, where.shape)
        return perturbed

    return sprinkle


# The NaN that x86 makes of inf - inf. Where NaNs of different bits meet, the first operand's survives, and the order of
# the operands of an addition is the compiler's: no two builds need agree there.
_NAN = -float("nan")
_PERTURBATIONS: tuple[Perturbation, ...] = (
    _huge,
    _tiny,
    _sprinkled(float("nan")),
    _sprinkled(float("inf"), float("-inf")),
    _sprinkled(0.0, -0.0, 1e-40, -1e-40),
    _sprinkled(_NAN, float("inf"), float("-inf"), 0.0, -0.0, 1e-40, -1e-40, 3e38),
)

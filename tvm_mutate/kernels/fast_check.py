"""The target of fast kernels, and the check that a fast kernel has the bits of the plain kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tvm
from tvm.target import Target, codegen

_SEED = 20240229
# One in this many elements becomes a special value: with more, all sums would be NaN and equal.
_ONE_IN = 500
# An element that a kernel does not write keeps the fill, which differs between the two kernels.
_PLAIN_FILL, _FAST_FILL = 0xA5, 0x5A

_FMA = "fma"
# With half precision a contracted multiply-add rounds once, but conversions to float32 round twice.
_WITH_FMA = ["-avx512fp16"]
_WITHOUT_FMA = ["-fma", "-fma4"]
# Compiles twice as fast as level 3, which unrolls short reductions completely, and runs as fast.
_OPT_LEVEL = 2

Perturbation = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def fast_target(target: Target) -> Target | None:
    """The target with the wide vectors of this machine that contracts multiply-add exactly if ``target`` does.

    None if bits could differ: other architectures, fast-math, GPUs, or a target with FMA on a machine without. This
    package compiles the target ``c`` without options for a processor.
    """
    if not _is_this_architecture(target) or _has_fast_math(target):
        return None
    native = Target({"kind": "llvm", "mcpu": codegen.llvm_get_system_cpu()})
    if contracts(target) and not _has_fma(native):
        return None
    return Target(
        {
            "kind": "llvm",
            "mcpu": codegen.llvm_get_system_cpu(),
            "mattr": _WITH_FMA if contracts(target) else _WITHOUT_FMA,
            "opt-level": _OPT_LEVEL,
        }
    )


def contracts(target: Target) -> bool:
    """Whether code for the CPU target rounds a multiply-add only once."""
    return target.kind.name == "llvm" and _has_fma(target)


def _has_fma(target: Target) -> bool:
    return bool(codegen.target_has_features(_FMA, target))


def _is_this_architecture(target: Target) -> bool:
    here = _architecture(codegen.llvm_get_system_triple())
    if target.kind.name == "c":
        return here == "x86_64"
    triple = str(target.attrs.get("mtriple", "") or codegen.llvm_get_system_triple())
    return target.kind.name == "llvm" and here == "x86_64" and _architecture(triple) == here


def _architecture(triple: str) -> str:
    architecture = triple.split("-")[0]
    return "x86_64" if architecture == "amd64" else architecture


def _has_fast_math(target: Target) -> bool:
    return any(key.startswith("fast-math") and bool(int(value)) for key, value in target.attrs.items())


def agrees(
    plain: Callable[..., Any],
    fast: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    output_shape: Sequence[int],
    dtype: str,
) -> bool:
    """Whether two compiled kernels give the same bits, on the inputs and on perturbed ones.

    Both are called as ``kernel(*inputs, output)`` on CPU tensors; ``output`` has ``output_shape`` and ``dtype``.
    Perturbed floating-point inputs have huge, tiny and denormal values, and NaN, infinities and zeros of both signs at
    random places, which are the same in every run.
    """
    return all(
        _result(plain, each, output_shape, dtype, _PLAIN_FILL) == _result(fast, each, output_shape, dtype, _FAST_FILL)
        for each in perturbed(inputs)
    )


def perturbed(inputs: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """The inputs unchanged, then perturbed in each way, with the same shapes and dtypes."""
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
    # Products are just below the largest number; some sums overflow.
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


# The NaN of inf - inf on x86. If NaNs with different bits meet, the NaN of the first operand survives, and the compiler
# chooses the order of the operands: builds may differ there.
_NAN = -float("nan")
_PERTURBATIONS: tuple[Perturbation, ...] = (
    _huge,
    _tiny,
    _sprinkled(float("nan")),
    _sprinkled(float("inf"), float("-inf")),
    _sprinkled(0.0, -0.0, 1e-40, -1e-40),
    _sprinkled(_NAN, float("inf"), float("-inf"), 0.0, -0.0, 1e-40, -1e-40, 3e38),
)

"""The target of fast kernels: this machine's vectors, with roundings as on the device under test."""

from __future__ import annotations

from typing import Any

from tvm.target import Target, codegen

_FMA = "fma"
# Half precision in registers rounds a contracted multiply-add once where conversions to float32 round twice.
_WITH_FMA = ["-avx512fp16"]
_WITHOUT_FMA = ["-fma", "-fma4"]
# Half the compile time of level 3, which unrolls short reductions whole, and the same speed.
_OPT_LEVEL = 2


def fast_target(target: Target) -> Target | None:
    """The target with the wide vectors of this machine, contracting multiply-add exactly where ``target`` does.

    None where that cannot be kept bit-exact: other architectures, fast-math, GPUs, a machine without FMA for a
    target with it. Target ``c`` is taken as compiled without options for a processor, as this package does.
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
    """Whether code for the CPU target makes one rounding of a product that is added to something."""
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
    return any(key.startswith("fast-math") and _is_on(value) for key, value in target.attrs.items())


def _is_on(value: Any) -> bool:
    return bool(int(value))

"""Conversions of numbers that do not fit: what comes of them is undefined, and is marked here."""

from __future__ import annotations

import re
from typing import Any

import tvm_ffi
from tvm.ir import TensorRegion, prim
from tvm.tirx import PrimFunc, const

from tvm_mutate.passes.tir_rewriter import leave_alone

_INTEGER = re.compile(r"(u?)int(\d+)")
# The bits of a fraction: numbers beyond them have none, and so none between an integer type's lowest and the next.
_FRACTIONS = {"float16": 11, "float32": 24, "float64": 53}
_MARK = 85


def with_marked_conversions(function: PrimFunc) -> PrimFunc | None:
    """The function with a mark as the result of each conversion to an integer that the number does not fit into.

    None where no floating-point number is converted to an integer. In LLVM IR (fptosi, fptoui) and in C the result is
    undefined then, and for NaN. Machines have instructions for it, but those on vectors give other numbers than those
    on scalars, and which of them compute an element may depend on where the buffers lie. A function with other results
    than the marked one has undefined values in them.
    """
    marked = 0

    def mark(node: Any, mutator: Any) -> Any:
        nonlocal marked
        rebuilt = mutator.default_mutate(node)
        fits = _fits(rebuilt.value, str(node.ty.dtype), str(node.value.ty.dtype))
        if fits is None:
            return rebuilt
        marked += 1
        return prim.Select(fits, rebuilt, const(_MARK, str(node.ty.dtype)))

    result = tvm_ffi.structural_mutate(function, [(prim.Cast, mark), (TensorRegion, leave_alone)])
    return result if marked else None


def _fits(value: Any, integer: str, number: str) -> Any | None:
    """The condition that a number is one that an integer type holds when its fraction is cut off; None for others."""
    found = _INTEGER.fullmatch(integer)
    if found is None or number not in _FRACTIONS:
        return None
    bits = int(found[2])
    end = 2.0**bits if found[1] else 2.0 ** (bits - 1)
    lowest = 0.0 if found[1] else -end
    is_cut_off = found[1] or bits <= _FRACTIONS[number]
    above = prim.GT(value, const(lowest - 1, number)) if is_cut_off else prim.GE(value, const(lowest, number))
    return prim.And(above, prim.LT(value, const(end, number)))

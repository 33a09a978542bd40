"""Kernels for the small suite, and what builds and calls them."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import te, tirx
from tvm.s_tir import Schedule


def scale_and_shift(size: int) -> tirx.PrimFunc:
    given = te.placeholder((size,), "float32", name="given")
    return te.create_prim_func([given, te.compute((size,), lambda i: given[i] * 3.0 + 0.5, name="shifted")])


def clipped(size: int) -> tirx.PrimFunc:
    given = te.placeholder((size,), "float32", name="given")
    low = te.compute((size,), lambda i: te.max(given[i], tirx.const(0.0, "float32")), name="low")
    return te.create_prim_func([given, te.compute((size,), lambda i: te.min(low[i], tirx.const(6.0, "float32")))])


def matmul(rows: int, inner: int, columns: int) -> tirx.PrimFunc:
    left = te.placeholder((rows, inner), "float32", name="left")
    right = te.placeholder((inner, columns), "float32", name="right")
    k = te.reduce_axis((0, inner), name="k")
    product = te.compute((rows, columns), lambda i, j: te.sum(left[i, k] * right[k, j], axis=k), name="product")
    return te.create_prim_func([left, right, product])


def padded(size: int, pad: int) -> tirx.PrimFunc:
    given = te.placeholder((size,), "float32", name="given")
    inside = lambda i: tirx.all(i >= pad, i < size + pad)  # noqa: E731
    zero = tirx.const(0.0, "float32")
    wide = te.compute((size + 2 * pad,), lambda i: tirx.if_then_else(inside(i), given[i - pad], zero), name="wide")
    return te.create_prim_func([given, wide])


def tiled(function: tirx.PrimFunc, block: str, factor: int) -> tirx.PrimFunc:
    """The function with the first loop of a block split and unrolled inside."""
    schedule = Schedule(function)
    outer, inner = schedule.split(schedule.get_loops(schedule.get_sblock(block))[0], [None, factor])
    del outer
    schedule.unroll(inner)
    return schedule.mod["main"]


def build(function: tirx.PrimFunc, target: str = "llvm") -> tvm.runtime.Module:
    return tvm.tirx.build(tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), target)


def call(library: tvm.runtime.Module, shape: tuple[int, ...], *given: np.ndarray) -> np.ndarray:
    """What the kernel writes into a buffer of this shape."""
    left = tvm.runtime.empty(shape, "float32")
    library["main"](*(tvm.runtime.tensor(each.astype("float32")) for each in given), left)
    return left.numpy()

"""Mutated kernels are built at every slot, run, and compared with a numpy model of the fault."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from mutated_kernels import CATALOGUE, INDEX, UNTOUCHED, assert_same_bits, run

SLOTS = ("kernel", "lowered", "codegen")

MAP = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "{dtype}"), B: T.Buffer((16,), "{dtype}")):
    for i in {loop}:
        B[i] = {value}
"""
ROWS = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((3, 4), "float32"), B: T.Buffer((3, 4), "float32")):
    for i, j in T.grid(3, 4):
        with T.sblock("copy"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = A[vi, vj]
"""
PADDING = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = T.if_then_else(4 <= i and i < 12, A[i], T.float32(0))
"""
PREDICATE = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i, j in T.grid(4, 4):
        with T.sblock("copy"):
            vi = T.axis.spatial(16, i * 4 + j)
            T.where(i * 4 + j < 11)
            B[vi] = A[vi]
"""
IF = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        if i < 8:
            B[i] = A[i]
        else:
            B[i] = T.float32(7)
"""
MAX_POOL = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 4), "float32"), B: T.Buffer((4,), "float32")):
    for i, k in T.grid(4, 4):
        with T.sblock("pool"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = T.max(B[vi], A[vi, vk])
"""


def kernel(value: str = "A[i]", loop: str = "range(16)", dtype: str = "float32") -> str:
    return MAP.format(value=value, loop=loop, dtype=dtype)


RELU = kernel("T.max(A[i], T.float32(0))")


def ramp(shape: tuple[int, ...] = (16,), dtype: str = "float32") -> np.ndarray:
    """Distinct values of both signs, none of them whole, all within the range of int8."""
    values = np.linspace(-100.3, 99.7, int(np.prod(shape)))
    return np.random.default_rng(7).permutation(values).reshape(shape).astype(dtype)


def at(x: np.ndarray, positions: np.ndarray, otherwise: float = UNTOUCHED) -> np.ndarray:
    """``x`` where ``positions`` is true."""
    return np.where(positions, x, x.dtype.type(otherwise))


def rolled(x: np.ndarray, by: int) -> np.ndarray:
    """The values stored one after the other at indices moved by one and held within the buffer."""
    stored = np.full_like(x, UNTOUCHED)
    for i, value in enumerate(x):
        stored[min(max(i + by, 0), len(x) - 1)] = value
    return stored


LATE = np.float32(2**-11)  # 4096 ULPs of float32
FAULTS: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [
    (kernel(), "tir.store-through{type=float16}", lambda x: x.astype("float16").astype("float32")),
    (kernel(), "tir.store-through{type=int32}", lambda x: x.astype("int32").astype("float32")),
    (kernel(), "tir.store-through{type=int16}", lambda x: x.astype("int16").astype("float32")),
    (kernel(), "tir.store-through{type=int8}", lambda x: x.astype("int8").astype("float32")),
    (kernel(), "tir.offset-store", lambda x: x - LATE),
    (kernel(), "tir.offset-store{sign=plus}", lambda x: x + LATE),
    (kernel(), "tir.offset-store{ulps=65536}", lambda x: x - np.float32(2**-7)),
    (kernel(), "tir.offset-store{sign=plus,ulps=65536}", lambda x: x + np.float32(2**-7)),
    (kernel(), "tir.offset-store{epsilon=1e-08}", lambda x: x - np.float32(1e-8)),
    (kernel(), "tir.scale-store", lambda x: x * (1 + LATE)),
    (kernel(), "tir.scale-store{sign=minus}", lambda x: x * (1 - LATE)),
    (kernel(), "tir.scale-store{ulps=65536}", lambda x: x * np.float32(1 + 2**-7)),
    (kernel(), "tir.scale-store{epsilon=1e-08}", lambda x: x),
    (kernel(), "tir.shift-store-index", lambda x: rolled(x, -1)),
    (kernel(), "tir.shift-store-index{by=1}", lambda x: rolled(x, 1)),
    (kernel(), "tir.loop-extent", lambda x: at(x, INDEX < 15)),
    (kernel(loop="range(12)"), "tir.loop-extent{by=1}", lambda x: at(x, INDEX < 13)),
    (kernel(), "tir.loop-start", lambda x: at(x, INDEX > 0)),
    (kernel(loop="T.parallel(16)"), "tir.loop-start", lambda x: at(x, INDEX > 0)),
    (kernel(loop="T.parallel(16)"), "tir.loop-extent", lambda x: at(x, INDEX < 15)),
    (PADDING, "tir.swap-compare{from=lt,to=le}", lambda x: at(x, (INDEX >= 4) & (INDEX <= 12), 0)),
    (PADDING, "tir.swap-compare{from=le,to=lt}", lambda x: at(x, (INDEX > 4) & (INDEX < 12), 0)),
    (PREDICATE, "tir.swap-compare{from=lt,to=le}", lambda x: at(x, INDEX <= 11)),
    (PREDICATE, "tir.swap-compare{from=lt,to=gt}", lambda x: at(x, INDEX > 11)),
    (IF, "tir.swap-compare{from=lt,to=gt}", lambda x: at(x, INDEX > 8, 7)),
    (IF, "tir.swap-compare{from=lt,to=ne}", lambda x: at(x, INDEX != 8, 7)),
    (RELU, "tir.swap-compare{from=gt,to=lt}", lambda x: np.minimum(x, np.float32(0))),
    (RELU, "tir.swap-compare{from=gt,to=ge}", lambda x: np.maximum(x, np.float32(0))),
    (PADDING, "tir.shift-threshold", lambda x: at(x, (INDEX >= 5) & (INDEX < 13), 0)),
    (PADDING, "tir.shift-threshold{by=0.5}", lambda x: at(x, (INDEX >= 5) & (INDEX <= 12), 0)),
    (PREDICATE, "tir.shift-threshold{by=0.5}", lambda x: at(x, INDEX <= 11)),
    (IF, "tir.shift-threshold{by=-1.0}", lambda x: at(x, INDEX < 7, 7)),
    (RELU, "tir.shift-threshold{by=-0.5}", lambda x: at(x, x > -0.5, 0)),
    (RELU, "tir.shift-threshold", lambda x: at(x, x > 1, 0)),
    (PADDING, "tir.scale-threshold{factor=0.5}", lambda x: at(x, (INDEX >= 2) & (INDEX < 6), 0)),
    (IF, "tir.scale-threshold", lambda x: x),
    (kernel("T.min(A[i], T.float32(6))"), "tir.scale-threshold", lambda x: at(x, x < 12, 6)),
    (IF, "tir.percent-threshold", lambda x: at(x, INDEX < 9, 7)),
    (IF, "tir.percent-threshold{percent=-10.0}", lambda x: at(x, INDEX < 7, 7)),
]


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(
    ("script", "mutant", "model"), FAULTS, ids=[f"{mutant}-{n}" for n, (_, mutant, _) in enumerate(FAULTS)]
)
def test_a_mutated_kernel_computes_the_same_as_the_model_of_the_fault(
    script: str, mutant: str, model: Callable[[np.ndarray], np.ndarray], slot: str
):
    assert_same_bits(run(script, mutant, ramp(), slot=slot), model(ramp()))


PAIRS = CATALOGUE["tir.swap-compare"].all_variants()
COMPARISONS = {
    "lt": ("<", np.less),
    "le": ("<=", np.less_equal),
    "gt": (">", np.greater),
    "ge": (">=", np.greater_equal),
    "eq": ("==", np.equal),
    "ne": ("!=", np.not_equal),
}


@pytest.mark.parametrize(("before", "after"), [(str(pair["from"]), str(pair["to"])) for pair in PAIRS])
def test_a_replaced_comparison_decides_like_its_replacement(before: str, after: str):
    script = IF.replace("i < 8", f"i {COMPARISONS[before][0]} 8")
    mutant = f"tir.swap-compare{{from={before},to={after}}}"
    assert_same_bits(run(script, mutant, ramp(), slot="kernel"), at(ramp(), COMPARISONS[after][1](INDEX, 8), 7))


VECTOR = "T.vectorized(16)"
VECTOR_RELU = kernel("T.max(A[i], T.float32(0))", VECTOR)
VECTOR_FAULTS: list[tuple[str, str, Callable[[np.ndarray], np.ndarray]]] = [
    (kernel(loop=VECTOR), "tir.store-through{type=int8}", lambda x: x.astype("int8").astype("float32")),
    (kernel(loop=VECTOR), "tir.store-through", lambda x: x.astype("float16").astype("float32")),
    (kernel(loop=VECTOR), "tir.offset-store", lambda x: x - LATE),
    (kernel(loop=VECTOR), "tir.scale-store", lambda x: x * (1 + LATE)),
    (VECTOR_RELU, "tir.swap-compare{from=gt,to=lt}", lambda x: np.minimum(x, np.float32(0))),
    (VECTOR_RELU, "tir.shift-threshold{by=0.5}", lambda x: at(x, x > 0.5, 0)),
]


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(("script", "mutant", "model"), VECTOR_FAULTS)
def test_a_vectorised_kernel_gets_the_fault_in_every_lane(
    script: str, mutant: str, model: Callable[[np.ndarray], np.ndarray], slot: str
):
    assert_same_bits(run(script, mutant, ramp(), slot=slot), model(ramp()))


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 10), ("bfloat16", 7), ("float64", 52)])
def test_ulps_are_those_of_the_stored_type(dtype: str, bits: int):
    x = ramp(dtype=dtype)
    epsilon = x.dtype.type(4 * 2.0**-bits)
    assert_same_bits(run(kernel(dtype=dtype), "tir.offset-store{ulps=4}", x, slot="kernel"), x - epsilon)


def test_a_store_is_shifted_within_its_row_while_rows_exist():
    x = ramp((3, 4))
    shifted = run(ROWS, "tir.shift-store-index", x, slot="kernel")
    assert_same_bits(shifted, np.stack([rolled(row, -1) for row in x]))


@pytest.mark.parametrize("slot", ["lowered", "codegen"])
def test_a_store_is_shifted_within_the_whole_buffer_once_buffers_are_flat(slot: str):
    x = ramp((3, 4))
    shifted = run(ROWS, "tir.shift-store-index", x, slot=slot)
    assert_same_bits(shifted, rolled(x.reshape(-1), -1).reshape(3, 4))


@pytest.mark.parametrize("slot", SLOTS)
def test_the_max_of_a_reduction_becomes_a_min_that_keeps_its_initial_value(slot: str):
    x = ramp((4, 4))
    lowest = run(MAX_POOL, "tir.swap-compare{from=gt,to=lt}", x, slot=slot, shape=(4,))
    assert_same_bits(lowest, np.minimum(x.min(axis=1), np.float32(0)))

"""Loads and stores at wrong indices: they stay within their buffers, but for tir.overrun-load."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import tvm_ffi
from hypothesis import given, settings
from hypothesis import strategies as st
from mutated_kernels import CATALOGUE, assert_same_bits, built, mutated, ramp, run, sites, storing
from tvm import tirx
from tvm.ir import TensorLoad

GRID = (4, 5)
SHIFTS = CATALOGUE["tir.shift-load-index"].all_variants()
WITHIN = [
    str(CATALOGUE[name].mutation(variant)).removesuffix("@*#*")
    for name in (
        "tir.shift-load-index",
        "tir.replace-index-arithmetic",
        "tir.perturb-index-constant",
        "tir.narrow-index",
        "tir.swap-load-indices",
        "tir.swap-store-indices",
    )
    for variant in CATALOGUE[name].all_variants()
]
NODES = {
    "Add": lambda a, b: a + b,
    "Sub": lambda a, b: a - b,
    "Mul": lambda a, b: a * b,
    "FloorDiv": lambda a, b: a // b,
    "FloorMod": lambda a, b: a % b,
    "Mod": lambda a, b: a % b if a >= 0 else -(-a % b),
    "Min": min,
    "Max": max,
}


def value(index: Any, where: dict[str, int]) -> int:
    """The value of an index, with the numbers that its variables have."""
    kind = type(index).__name__
    if kind == "IntImm":
        return int(index.value)
    if kind == "Var":
        return where[index.name]
    return NODES[kind](value(index.a, where), value(index.b, where))


NUMBERS = st.integers(2, 40).map(str)
INDICES = st.recursive(
    st.sampled_from(["i", "j"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), NUMBERS).map(
            lambda parts: f"({' '.join(parts)})"
        ),
    ),
    max_leaves=4,
)


def within(index: str) -> tuple[str, int]:
    """An index moved so that it starts at zero, and the extent of the buffer that it goes through."""
    values = [eval(index, {"i": i, "j": j}) for i, j in itertools.product(*map(range, GRID))]
    low = min(values)
    return (f"{index} - {low}" if low >= 0 else f"{index} + {-low}"), max(values) - low + 1


@pytest.mark.parametrize("mutant", WITHIN)
@settings(max_examples=15)
@given(data=st.data())
def test_wrong_indices_stay_within_the_buffer(mutant: str, data: st.DataObject):
    (first, rows), (second, columns) = within(data.draw(INDICES)), within(data.draw(INDICES))
    if data.draw(st.booleans()):
        rows = columns = max(rows, columns)
    shape = f'T.Buffer(({rows}, {columns}), "float32")'
    access = f"[{first}, {second}]"
    script = f"""
@T.prim_func(s_tir=True)
def main(A: {shape}, B: {shape}):
    for i, j in T.grid{GRID}:
        B{access} = A{access}
"""
    found: list[Any] = []
    accesses = ((TensorLoad, tirx.BufferStore), found.append)
    tvm_ffi.structural_walk(mutated(script, mutant)["main"], [accesses])
    assert len(found) == 2
    for each, (i, j) in itertools.product(found, itertools.product(*map(range, GRID))):
        at = [value(index, {"i": i, "j": j}) for index in each.indices]
        assert 0 <= at[0] < rows and 0 <= at[1] < columns


CLAMPED = [
    ("A[i]", "tir.shift-load-index", lambda i: i - 1),
    ("A[i]", "tir.shift-load-index{by=3}", lambda i: i + 3),
    ("A[i]", "tir.overrun-load{by=-1}", lambda i: i - 1),
    ("A[(i + 1) % 16]", "tir.replace-index-arithmetic{from=add,to=subtract}", lambda i: (i - 1) % 16),
    ("A[15 - i]", "tir.replace-index-arithmetic{from=subtract,to=add}", lambda i: 15 + i),
    ("A[i % 8 * 2]", "tir.replace-index-arithmetic{from=multiply,to=add}", lambda i: i % 8 + 2),
    ("A[i % 8 * 2]", "tir.replace-index-arithmetic{from=multiply,to=subtract}", lambda i: i % 8 - 2),
    ("A[i % 8 * 2]", "tir.perturb-index-constant", lambda i: i % 8 * 3),
    ("A[i // 3]", "tir.perturb-index-constant{by=-1}", lambda i: i // 2),
]


@pytest.mark.parametrize(("load", "mutant", "index"), CLAMPED)
def test_a_mutated_load_reads_the_element_that_the_fault_says(load: str, mutant: str, index: Any):
    a = ramp()
    script = storing(load)
    expected = a[np.clip(index(np.arange(16)), 0, 15)]
    computed = run(script, mutant, a, a)
    first = 1 if "overrun" in mutant else 0  # what lies before the buffer is anybody's guess
    assert_same_bits(computed[first:], expected[first:])


@pytest.mark.parametrize("slot", ["kernel", "lowered", "codegen"])
def test_an_index_of_eight_bits_wraps_around_in_the_built_kernel(slot: str):
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((300,), "float32"), B: T.Buffer((300,), "float32")):
    for i in range(300):
        B[i] = A[i]
"""
    a = np.arange(300, dtype="float32")
    computed = run(script, "tir.narrow-index", a, slot=slot)
    assert_same_bits(computed, a[np.clip(np.arange(300).astype("int8"), 0, 299)])


@pytest.mark.parametrize("target", ["llvm", "c"])
@pytest.mark.parametrize("mutant", [*WITHIN, "tir.overrun-load", "tir.overrun-load{by=-1}"])
def test_code_generators_take_wrong_indices(mutant: str, target: str):
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((40000, 40000), "float32"), B: T.Buffer((8, 8), "float32")):
    for i, j in T.grid(4, 3):
        B[i, j] = A[7 - (i * 2 + 1), 39999 - j * 2 - 1]
"""
    assert built(script, mutant, target=target).inspect_source() != built(script, "", target=target).inspect_source()


@pytest.mark.parametrize(
    ("load", "mutant"),
    [
        ("A[0]", "tir.shift-load-index"),  # held within the buffer, it stays where it is
        ("A[15]", "tir.shift-load-index{by=1}"),
        ("A[i]", "tir.shift-load-index{dimension=2}"),
        ("A[i]", "tir.shift-load-index{dimension=0}"),
        ("A[i]", "tir.shift-load-index{by=0}"),
        ("A[i]", "tir.replace-index-arithmetic{from=add,to=subtract}"),
        ("A[i] + W[i]", "tir.replace-index-arithmetic{from=add,to=subtract}"),
        ("A[i // 1 + 0]", "tir.perturb-index-constant{by=-1}"),
        ("A[(i + 1) // 16]", "tir.perturb-index-constant{by=-20}"),
        ("A[i]", "tir.narrow-index"),
        ("A[i]", "tir.swap-load-indices"),
    ],
)
def test_there_is_no_site_where_nothing_would_change(load: str, mutant: str):
    assert not sites(storing(load), mutant)


def test_dimensions_of_different_extents_and_equal_indices_are_not_swapped():
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 9, 8), "float32"), B: T.Buffer((8, 9), "float32")):
    for i, j in T.grid(8, 9):
        B[i, j] = A[i, j, i]
"""
    assert not sites(script, "tir.swap-load-indices")
    assert not sites(script, "tir.swap-store-indices")
    (site,) = sites(script.replace("A[i, j, i]", "A[i, j, 3]"), "tir.swap-load-indices")
    assert "A[3, j, i]" in site.after


def test_the_operand_of_a_gather_and_vectors_are_indices_like_others_or_no_sites():
    assert len(sites(storing("A[W[i] + 1]", "int32"), "tir.replace-index-arithmetic{from=add,to=subtract}")) == 1
    vector = storing("A[i]").replace("B[i] = A[i]", "B[T.Ramp(0, 1, 4)] = A[T.Ramp(0, 1, 4)]")
    for mutant in WITHIN:
        assert not sites(vector, mutant)

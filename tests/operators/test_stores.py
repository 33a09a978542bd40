"""Mutated stores and reductions: the computed values, and the stores without sites."""

from __future__ import annotations

import numpy as np
import pytest
from mutated_kernels import UNTOUCHED, kernel, run, sites

X = np.linspace(-3.7, 5.3, 16).astype("float32")
COPY = kernel("    for i in range(16):\n        B[i] = A[i]")
TERMS = np.linspace(1, 9, 64).astype("float32").reshape(4, 16)
PARAMETERS = 'A: T.Buffer((4, 16), "float32"), B: T.Buffer((4,), "float32")'
REDUCTION = """
    for i, k in T.grid(4, 16):
        with T.sblock("reduction"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = {}
            B[vi] = {}
"""
SUM = kernel(REDUCTION.format("T.float32(0)", "B[vi] + A[vi, vk]"), PARAMETERS)
MAX = kernel(REDUCTION.format("T.float32(-1)", "T.max(B[vi], A[vi, vk])"), PARAMETERS)


@pytest.mark.parametrize("slot", ["kernel", "lowered", "codegen"])
@pytest.mark.parametrize("bit", [31, 30, 23, 22, 0])
def test_a_flipped_bit_is_that_bit_of_every_value(bit: int, slot: str):
    flipped = run(COPY, f"tir.flip-bit{{bit={bit},slot={slot}}}", X)
    assert np.array_equal(flipped.view("uint32") ^ X.view("uint32"), np.full(16, 1 << bit, "uint32"))


@pytest.mark.parametrize("slot", ["lowered", "codegen"])
def test_a_dropped_store_leaves_the_output_untouched_and_a_zeroed_one_does_not(slot: str):
    assert np.array_equal(run(COPY, f"tir.drop-store{{slot={slot}}}", X), np.full(16, UNTOUCHED, "float32"))
    assert np.array_equal(run(COPY, f"tir.store-zero{{slot={slot}}}", X), np.zeros(16, "float32"))


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_a_repeated_update_counts_twice_and_the_initialisation_once(slot: str):
    doubled = reduced(SUM.replace("T.float32(0)", "T.float32(1)"), f"tir.repeat-store{{slot={slot}}}")
    assert np.allclose(doubled, 1 + 2 * TERMS.sum(axis=1), rtol=1e-5)


def reduced(script: str, mutant: str) -> np.ndarray:
    return run(script, mutant, TERMS, shape=(4,))


@pytest.mark.parametrize(("to", "start"), [("one", 1), ("minus-one", -1)])
def test_a_sum_starts_from_the_mutated_initial_value_or_from_the_old_contents(to: str, start: int):
    assert np.allclose(reduced(SUM, f"tir.initial-value{{to={to}}}"), TERMS.sum(axis=1) + start, rtol=1e-5)
    assert np.allclose(reduced(SUM, "tir.drop-initialisation"), TERMS.sum(axis=1) + UNTOUCHED, rtol=1e-5)


def test_a_maximum_that_starts_from_the_highest_value_is_that_value():
    assert np.array_equal(reduced(MAX, "tir.initial-value{to=highest}"), np.full(4, np.finfo("float32").max))


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_a_mutated_accumulation_keeps_the_last_term_or_subtracts_each_term(slot: str):
    for script in (SUM, MAX):
        assert np.array_equal(reduced(script, f"tir.drop-accumulation{{slot={slot}}}"), TERMS[:, -1])
    assert np.allclose(reduced(SUM, f"tir.subtract-accumulation{{slot={slot}}}"), -TERMS.sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_a_narrow_sum_is_rounded_after_every_term(slot: str):
    half, brain = np.zeros(4, "float16"), np.zeros(4, "float32")
    for column in TERMS.T:
        half = half + column.astype("float16")
        bits = (brain + column).view("uint32")
        brain = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype("uint32").view("float32")
    for narrow, expected in (("float16", half), ("bfloat16", brain)):
        found = reduced(SUM, f"tir.narrow-accumulator{{slot={slot},type={narrow}}}")
        assert np.array_equal(found, expected.astype("float32"))


@pytest.mark.parametrize(
    ("store", "mutant"),
    [
        ("B[i] = T.float32(0)", "tir.store-zero"),
        ("B[i] = T.float32(0)", "tir.flip-bit"),  # a negative zero is a zero
        ("I[i] = I[i] + 1", "tir.flip-bit"),
        ("B[i] = A[i]", "tir.flip-bit{bit=32}"),
        ("B[i] = A[i]", "tir.repeat-store"),
        ("B[i] = A[i] + B[0]", "tir.repeat-store"),
        ("B[i] = T.max(B[i], A[i])", "tir.repeat-store"),
    ],
)
def test_there_is_no_site_where_the_same_would_be_stored_or_the_type_has_no_such_bit(store: str, mutant: str):
    parameters = 'A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32"), I: T.Buffer((16,), "int32")'
    assert sites(kernel(f"    for i in range(16):\n        {store}", parameters), mutant) == []


@pytest.mark.parametrize(
    ("script", "mutant"),
    [
        (SUM, "tir.initial-value{to=zero}"),
        (MAX, "tir.initial-value{to=minus-one}"),
        (MAX, "tir.subtract-accumulation"),
        (MAX, "tir.narrow-accumulator"),
        (kernel("    for i in range(16):\n        B[i] = A[i] + T.float32(1)"), "tir.drop-accumulation"),
        (kernel("    for i in range(16):\n        B[i] = T.float32(0)"), "tir.drop-initialisation"),
    ],
)
def test_there_is_no_site_where_nothing_would_change_or_nothing_is_accumulated(script: str, mutant: str):
    assert sites(script, mutant) == []

"""What reductions compute that start from, or accumulate, something else."""

from __future__ import annotations

import numpy as np
import pytest
from mutated_kernels import kernel, run, sites

X = np.linspace(1, 9, 64).astype("float32").reshape(4, 16)
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


def test_a_sum_without_its_initialisation_starts_from_what_is_there():
    assert np.allclose(run(SUM, "tir.drop-initialisation", X, shape=(4,)), X.sum(axis=1) - 99, rtol=1e-5)


@pytest.mark.parametrize(("to", "start"), [("one", 1), ("minus-one", -1)])
def test_a_sum_starts_from_the_value_that_is_asked_for(to: str, start: int):
    assert np.allclose(run(SUM, f"tir.initial-value{{to={to}}}", X, shape=(4,)), X.sum(axis=1) + start, rtol=1e-5)


def test_a_maximum_that_starts_from_the_highest_value_is_that_value():
    assert np.array_equal(run(MAX, "tir.initial-value{to=highest}", X, shape=(4,)), np.full(4, np.finfo("float32").max))


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_without_accumulation_the_last_term_is_left(slot: str):
    for script in (SUM, MAX):
        assert np.array_equal(run(script, f"tir.drop-accumulation{{slot={slot}}}", X, shape=(4,)), X[:, -1])


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_terms_with_the_wrong_sign_are_taken_away(slot: str):
    assert np.allclose(run(SUM, f"tir.subtract-accumulation{{slot={slot}}}", X, shape=(4,)), -X.sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_a_sum_in_float16_is_rounded_after_every_term(slot: str):
    total = np.zeros(4, "float16")
    for column in X.T:
        total = total + column.astype("float16")
    assert np.array_equal(run(SUM, f"tir.narrow-accumulator{{slot={slot}}}", X, shape=(4,)), total.astype("float32"))


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_a_sum_in_bfloat16_is_rounded_to_even_after_every_term(slot: str):
    total = np.zeros(4, "float32")
    for column in X.T:
        bits = (total + column).view("uint32")
        total = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype("uint32").view("float32")
    narrow = run(SUM, f"tir.narrow-accumulator{{slot={slot},type=bfloat16}}", X, shape=(4,))
    assert np.array_equal(narrow, total)


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

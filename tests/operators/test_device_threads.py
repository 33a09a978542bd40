"""What becomes of shuffles and atomic updates in the code for a GPU."""

from __future__ import annotations

import pytest
from mutated_kernels import COUNT, CUDA, SUM, code, kernel, sites


def test_every_shuffle_of_a_reduction_over_a_warp_is_a_site():
    assert (
        len(sites(SUM, "tir.shuffle-lane", CUDA)) == code(SUM).count("= __shfl_") == 6
    )  # five halvings, and the result to all
    assert ", 17, 32)" in code(SUM, "tir.shuffle-lane")


def test_no_distance_is_shortened_below_zero():
    assert len(sites(SUM, "tir.shuffle-lane{by=-1}", CUDA)) == 5
    assert len(sites(SUM, "tir.shuffle-lane{by=-2}", CUDA)) == 4


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_a_plain_update_loads_and_stores(slot: str):
    assert "atomic_add((&(" in code(COUNT)
    plain = code(COUNT, f"tir.plain-atomic{{slot={slot}}}")
    assert "atomic_add((&(" not in plain
    assert " + A" in plain


@pytest.mark.parametrize("mutant", ["tir.shuffle-lane", "tir.plain-atomic"])
def test_other_calls_are_no_sites(mutant: str):
    assert sites(kernel("    for i in range(16):\n        B[i] = T.exp(A[i])\n        T.evaluate(0)"), mutant) == []

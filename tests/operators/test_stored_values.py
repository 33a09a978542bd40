"""What dropped, repeated, zeroed and bit-flipped stores compute, and which stores are no sites."""

from __future__ import annotations

import numpy as np
import pytest
from mutated_kernels import UNTOUCHED, kernel, run, sites

X = np.linspace(-3.7, 5.3, 16).astype("float32")
COPY = kernel("    for i in range(16):\n        B[i] = A[i]")
SUM = kernel(
    """
    for i, k in T.grid(4, 4):
        with T.sblock("sum"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.float32(1)
            B[vi] = B[vi] + A[vi * 4 + vk]
""",
    'A: T.Buffer((16,), "float32"), B: T.Buffer((4,), "float32")',
)


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
    doubled = run(SUM, f"tir.repeat-store{{slot={slot}}}", X, shape=(4,))
    assert np.allclose(doubled, 1 + 2 * X.reshape(4, 4).sum(axis=1), rtol=1e-5)


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

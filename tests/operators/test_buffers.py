"""What kernels compute whose intermediate buffers share memory or are too small, and where there are none."""

from __future__ import annotations

import numpy as np
from mutated_kernels import kernel, run, sites

X = np.linspace(-3.7, 5.3, 16).astype("float32")
SQUARE = 'A: T.Buffer((4, 4), "float32"), B: T.Buffer((4, 4), "float32")'
STAGED = kernel(
    """
    P = T.sblock_alloc_buffer((4, 4), "float32")
    for i, j in T.grid(4, 4):
        with T.sblock("stage"):
            vi, vj = T.axis.remap("SS", [i, j])
            P[vi, vj] = A[vi, vj]
    for i, j in T.grid(4, 4):
        with T.sblock("double"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = P[vi, vj] * T.float32(2)
""",
    SQUARE,
)
TWO = kernel("""
    P = T.alloc_buffer((16,), "float32")
    Q = T.alloc_buffer((16,), "{}")
    for i in range(16):
        P[i] = A[i]
    for i in range(16):
        Q[i] = T.Cast("{}", A[15 - i])
    for i in range(16):
        B[i] = P[i]
        B[i] = B[i] + T.Cast("float32", Q[i])
""")


def test_rows_that_overlap_end_with_the_first_element_of_the_next():
    doubled = run(STAGED, "tir.shrink-buffer", X.reshape(4, 4), shape=(4, 4))
    expected = 2 * X.reshape(4, 4)
    expected[:-1, -1] = expected[1:, 0]
    assert np.array_equal(doubled.reshape(-1)[:-1], expected.reshape(-1)[:-1])  # the last one lies outside


def test_buffers_that_share_memory_hold_what_was_written_last():
    same = TWO.format("float32", "float32")
    assert np.array_equal(run(same, "tir.alias-buffers", X), 2 * X[::-1])


def test_buffers_of_different_types_do_not_share_memory():
    assert sites(TWO.format("float32", "float32"), "tir.alias-buffers")
    assert sites(TWO.format("float16", "float16"), "tir.alias-buffers") == []


def test_there_is_no_site_without_a_buffer_of_that_number_or_a_block_that_only_copies():
    assert len(sites(STAGED, "tir.shrink-buffer")) == 1
    assert sites(STAGED, "tir.shrink-buffer{buffer=1}") == []
    assert sites(STAGED.replace("(4, 4)", "(4, 1)"), "tir.shrink-buffer") == []
    assert len(sites(STAGED, "tir.drop-copy")) == 1

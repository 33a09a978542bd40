"""What kernels compute with loops of another step, order or kind, and where such loops are not."""

from __future__ import annotations

import numpy as np
import pytest
from mutated_kernels import UNTOUCHED, code, kernel, run, sites

X = np.linspace(-3.7, 5.3, 16).astype("float32")
LOOP = "    for i in {}:\n        B[i] = A[i]"
SQUARE = 'A: T.Buffer((4, 4), "float32"), B: T.Buffer((4, 4), "float32")'
NEST = """
    for i, j in T.grid({}):
        with T.sblock("copy"):
            vi, vj = T.axis.remap("SS", [i, j])
            B[vi, vj] = {}
"""


@pytest.mark.parametrize("loop", ["range(16)", "T.vectorized(16)", "T.unroll(16)", "T.parallel(16)"])
def test_a_loop_with_twice_the_step_passes_over_every_second_iteration(loop: str):
    stored = run(kernel(LOOP.format(loop)), "tir.loop-step", X)
    assert np.array_equal(stored, np.where(np.arange(16) % 2 == 0, X, np.float32(UNTOUCHED)))


def test_swapped_loops_read_the_transposed_element():
    square = X.reshape(4, 4)
    assert np.array_equal(
        run(kernel(NEST.format("4, 4", "A[vi, vj]"), SQUARE), "tir.swap-loops", square, (4, 4)), square.T
    )


@pytest.mark.parametrize("kind", ["parallel", "unrolled"])
def test_a_loop_of_another_kind_computes_the_same_in_other_code(kind: str):
    script = kernel(LOOP.format("range(16)"))
    mutant = f"tir.loop-kind{{to={kind}}}"
    assert np.array_equal(run(script, mutant, X), X)
    assert code(script, mutant, "llvm") != code(script, target="llvm")


def test_only_a_loop_without_loops_in_it_changes_from_serial():
    assert [site.before for site in sites(kernel(NEST.format("4, 4", "A[vi, vj]"), SQUARE), "tir.loop-kind")] == [
        "for j in range(4):"
    ]


@pytest.mark.parametrize(
    ("script", "mutant"),
    [
        (kernel(LOOP.format("range(1)")), "tir.loop-step"),
        (kernel(LOOP.format("range(0, 16, 4)")), "tir.loop-step"),
        (kernel(LOOP.format('T.thread_binding(16, thread="threadIdx.x")')), "tir.loop-step"),
        (kernel(LOOP.format("range(16)")), "tir.loop-step{by=1}"),
        (kernel(LOOP.format("range(16)")), "tir.drop-annotation"),
        (kernel(LOOP.format("range(65)")), "tir.loop-kind{to=unrolled}"),
        (kernel(LOOP.format("T.parallel(16)")), "tir.loop-kind"),
        (kernel(NEST.format("4, 2", "A[vi, vj]"), SQUARE), "tir.swap-loops"),
        (kernel(NEST.format("4, 4", "T.float32(1)"), SQUARE), "tir.swap-loops"),
        (kernel(NEST.format("4, 4", "B[vi, vj] * T.float32(2)"), SQUARE), "tir.swap-loops"),
    ],
)
def test_there_is_no_site_where_nothing_would_change(script: str, mutant: str):
    assert sites(script, mutant) == []

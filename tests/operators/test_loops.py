"""What kernels compute with other ranges, steps, orders and kinds of loops, and loops that are no sites."""

from __future__ import annotations

import numpy as np
import pytest
from mutated_kernels import INDEX, UNTOUCHED, code, kernel, run, sites

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
def test_a_loop_with_twice_the_step_skips_every_second_iteration(loop: str):
    stored = run(kernel(LOOP.format(loop)), "tir.loop-step", X)
    assert np.array_equal(stored, np.where(INDEX % 2 == 0, X, np.float32(UNTOUCHED)))


def test_swapped_loops_read_the_transposed_element():
    square = X.reshape(4, 4)
    assert np.array_equal(
        run(kernel(NEST.format("4, 4", "A[vi, vj]"), SQUARE), "tir.swap-loops", square, shape=(4, 4)), square.T
    )


@pytest.mark.parametrize("kind", ["parallel", "unrolled"])
def test_a_loop_of_another_kind_computes_the_same_in_other_code(kind: str):
    script = kernel(LOOP.format("range(16)"))
    mutant = f"tir.loop-kind{{to={kind}}}"
    assert np.array_equal(run(script, mutant, X), X)
    assert code(script, mutant, "llvm") != code(script, target="llvm")


def test_a_serial_loop_changes_only_if_the_loop_contains_no_loop():
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


DATA = np.linspace(1, 9, 64).astype("float32").reshape(4, 16)
ROWS = 'A: T.Buffer((4, 16), "float32"), B: T.Buffer((4,), "float32")'
SUM = """
    for i in T.thread_binding(4, thread="blockIdx.x"):
        for k in {}:
            with T.sblock("sum"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    B[vi] = T.float32(0)
                B[vi] = B[vi] + A[vi, vk]
"""
ON_THREADS = kernel(SUM.format('T.thread_binding(16, thread="threadIdx.x")'), ROWS)
ON_CPU = kernel(SUM.format("range(16)"), ROWS).replace('T.thread_binding(4, thread="blockIdx.x")', "range(4)")


@pytest.mark.parametrize(
    ("mutant", "left"), [("tir.reduction-extent", DATA[:, :-1]), ("tir.reduction-start", DATA[:, 1:])]
)
def test_one_term_is_left_out_and_the_sum_starts_from_zero(mutant: str, left: np.ndarray):
    assert np.allclose(run(ON_CPU, mutant, DATA, shape=(4,)), left.sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("mutant", ["tir.reduction-extent", "tir.reduction-start"])
def test_a_mutated_reduction_over_threads_is_still_lowered_to_shuffles(mutant: str):
    before, after = code(ON_THREADS), code(ON_THREADS, mutant)
    assert "shfl" in after
    assert before != after


@pytest.mark.parametrize("mutant", ["tir.reduction-extent", "tir.reduction-start"])
def test_a_single_iterator_counts_as_the_first_and_an_iterator_of_extent_one_does_not_count(mutant: str):
    assert len(sites(ON_CPU, mutant)) == 1
    assert sites(ON_CPU, f"{mutant}{{iterator=last}}") == []
    assert sites(ON_CPU.replace("range(16)", "range(1)"), mutant) == []
    assert sites(ON_CPU.replace('"SR"', '"SS"').replace("with T.init():", "if vk == 0:"), mutant) == []

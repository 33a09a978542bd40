"""What reductions compute without the first or last value of an iterator, also where threads share the reduction."""

from __future__ import annotations

import numpy as np
import pytest
from mutated_kernels import code, kernel, run, sites

X = np.linspace(1, 9, 64).astype("float32").reshape(4, 16)
PARAMETERS = 'A: T.Buffer((4, 16), "float32"), B: T.Buffer((4,), "float32")'
SUM = """
    for i in T.thread_binding(4, thread="blockIdx.x"):
        for k in {}:
            with T.sblock("sum"):
                vi, vk = T.axis.remap("SR", [i, k])
                with T.init():
                    B[vi] = T.float32(0)
                B[vi] = B[vi] + A[vi, vk]
"""
ON_THREADS = kernel(SUM.format('T.thread_binding(16, thread="threadIdx.x")'), PARAMETERS)
ON_CPU = kernel(SUM.format("range(16)"), PARAMETERS).replace('T.thread_binding(4, thread="blockIdx.x")', "range(4)")


@pytest.mark.parametrize(("mutant", "left"), [("tir.reduction-extent", X[:, :-1]), ("tir.reduction-start", X[:, 1:])])
def test_one_term_is_left_out_and_the_sum_starts_from_zero(mutant: str, left: np.ndarray):
    assert np.allclose(run(ON_CPU, mutant, X, (4,)), left.sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("mutant", ["tir.reduction-extent", "tir.reduction-start"])
def test_a_reduction_over_threads_is_still_lowered_as_one(mutant: str):
    before, after = code(ON_THREADS), code(ON_THREADS, mutant)
    assert "shfl" in after
    assert before != after


@pytest.mark.parametrize("mutant", ["tir.reduction-extent", "tir.reduction-start"])
def test_a_single_iterator_is_the_first_and_one_of_extent_one_is_none(mutant: str):
    assert len(sites(ON_CPU, mutant)) == 1
    assert sites(ON_CPU, f"{mutant}{{iterator=last}}") == []
    assert sites(ON_CPU.replace("range(16)", "range(1)"), mutant) == []
    assert sites(ON_CPU.replace('"SR"', '"SS"').replace("with T.init():", "if vk == 0:"), mutant) == []

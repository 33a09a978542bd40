import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="pytorch/pytorch#138908",
    area="Inductor",
    title="an indexed addition in place takes effect twice",
    made=Made.EXACTLY,
    mutant="tir.repeat-store@main#0",
    right=kernel(
        "A: (16,), I: (16,) int32, B: (16,)",
        """
for i in range(16):
    B[I[i]] = B[I[i]] + A[i]
""",
    ),
    wrong=kernel(
        "A: (16,), I: (16,) int32, B: (16,)",
        """
for i in range(16):
    B[I[i]] = B[I[i]] + A[i]
    B[I[i]] = B[I[i]] + A[i]
""",
    ),
    inputs=[np.ones(16, "float32"), np.arange(16, dtype="int32")],
)

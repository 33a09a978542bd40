import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#19978",
    area="arith",
    title="a bound of a remainder is too tight, so a condition counts as proved",
    made=Made.EXACTLY,
    mutant="tir.drop-guard@main#0",
    right=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    if i % 8 < 7:
        B[i] = A[i]
""",
    ),
    wrong=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    B[i] = A[i]
""",
    ),
    inputs=[np.arange(16, dtype="float32")],
)

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#18025",
    area="arith",
    title="a comparison of a scaled sum is simplified to a comparison with another threshold",
    made=Made.EXACTLY,
    mutant="tir.shift-threshold@main#0",
    right=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    if i * 4 + 2 < 14:
        B[i] = A[i]
""",
    ),
    wrong=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    if i * 4 + 2 < 15:
        B[i] = A[i]
""",
    ),
    inputs=[np.arange(16, dtype="float32")],
)

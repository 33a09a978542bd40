import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#19741",
    area="asynchronous copies",
    title="a copy with a false predicate leaves the old value instead of zero",
    made=Made.EXACTLY,
    mutant="tir.guard-store@main#0",
    right=kernel(
        "A: (16,), B: (20,)",
        """
for i in range(20):
    B[i] = T.if_then_else(i < 16, A[i], T.float32(0))
""",
    ),
    wrong=kernel(
        "A: (16,), B: (20,)",
        """
for i in range(20):
    if i < 16:
        B[i] = A[i]
""",
    ),
    inputs=[np.arange(16, dtype="float32")],
)

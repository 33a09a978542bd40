import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="pytorch/pytorch#132301",
    area="Inductor",
    title="the rounding to bfloat16 between two operations is left out",
    made=Made.EXACTLY,
    mutant="tir.drop-inverse{of=cast}@main#0",
    right=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    B[i] = T.Cast("float32", T.Cast("float16", A[i] * T.float32(1.1))) + A[i]
""",
    ),
    wrong=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    B[i] = A[i] * T.float32(1.1) + A[i]
""",
    ),
    inputs=[np.arange(16, dtype="float32")],
)

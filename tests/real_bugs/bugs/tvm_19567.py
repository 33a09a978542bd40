import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#19567",
    area="LLVM",
    title="the series of asin has wrong coefficients",
    made=Made.EXACTLY,
    mutant="tir.perturb-constant{change=scale,factor=1.00390625}@main#0",
    right=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    B[i] = A[i] + A[i] * A[i] * A[i] * T.float32(0.125)
""",
    ),
    wrong=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    B[i] = A[i] + A[i] * A[i] * A[i] * T.float32(0.12548828125)
""",
    ),
    inputs=[np.arange(16, dtype="float32")],
)

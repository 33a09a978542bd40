import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#17882",
    area="PyTorch frontend",
    title="the remainder of a division that rounds down becomes one that rounds towards zero",
    made=Made.EXACTLY,
    mutant="tir.swap-division@main#0",
    right=kernel(
        "A: (16,) int32, B: (16,) int32",
        """
for i in range(16):
    B[i] = A[i] % 3
""",
    ),
    wrong=kernel(
        "A: (16,) int32, B: (16,) int32",
        """
for i in range(16):
    B[i] = T.truncmod(A[i], 3)
""",
    ),
    inputs=[np.arange(-8, 8, dtype="int32")],
)

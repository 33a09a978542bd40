import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#18694",
    area="LowerIntrin",
    title="a division that rounds down is lowered to one of shifted operands, and the shift overflows",
    made=Made.NEARLY,
    mutant="tir.swap-division@main#0",
    right=kernel(
        "A: (16,) int32, B: (16,) int32",
        """
for i in range(16):
    B[i] = A[i] // 3
""",
    ),
    wrong=kernel(
        "A: (16,) int32, B: (16,) int32",
        """
for i in range(16):
    B[i] = T.Div(A[i], 3)
""",
    ),
    inputs=[np.arange(-8, 8, dtype="int32")],
    remark="the same division, with wrong values for negative instead of large operands",
)

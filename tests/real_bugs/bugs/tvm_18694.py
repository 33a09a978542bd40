import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#18694",
    area="LowerIntrin",
    title="a division that rounds down is lowered to one of shifted operands, and the shift overflows",
    made=Made.EXACTLY,
    mutant="tir.swap-division{by=shift}@main#0",
    right=kernel(
        "A: (16,) int32, B: (16,) int32",
        """
for i in range(16):
    B[i] = A[i] // 4
""",
    ),
    wrong=kernel(
        "A: (16,) int32, B: (16,) int32",
        """
for i in range(16):
    B[i] = T.Div(A[i] + 2147483644, 4) - 536870911
""",
    ),
    inputs=[np.arange(-4, 12, dtype="int32")],
)

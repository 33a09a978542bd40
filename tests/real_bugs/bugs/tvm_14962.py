import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#14962",
    area="Metal",
    title="four bytes are converted to half as one integer",
    made=Made.EXACTLY,
    mutant="codegen.pack-lanes{how=integer}@main#0",
    right=kernel(
        "A: (8,) int8, B: (8,)",
        """
for i in range(2):
    B[T.Ramp(i * 4, 1, 4)] = T.Cast("float32x4", A[T.Ramp(i * 4, 1, 4)])
""",
    ),
    wrong=kernel(
        "A: (8,) int8, B: (8,)",
        """
for i in range(2):
    B[T.Ramp(i * 4, 1, 4)] = T.Broadcast(T.Cast("float32", T.reinterpret("int32", A[T.Ramp(i * 4, 1, 4)])), 4)
""",
    ),
    inputs=[np.arange(8, dtype="int8")],
)

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#17030",
    area="storage rewrite",
    title="the number of a lane is not taken modulo the lanes",
    made=Made.NEARLY,
    mutant="codegen.pack-lanes{how=next}@main#0",
    right=kernel(
        "A: (16,), B: (4,)",
        """
for i in range(4):
    B[i] = T.Shuffle([A[T.Ramp(i * 4, 1, 4)]], [1])
""",
    ),
    wrong=kernel(
        "A: (16,), B: (4,)",
        """
for i in range(4):
    B[i] = T.Shuffle([A[T.Ramp(i * 4, 1, 4)]], [2])
""",
    ),
    inputs=[np.arange(16, dtype="float32")],
    remark="the wrong lane is one that exists",
)

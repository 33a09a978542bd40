import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#13922",
    area="arith",
    title="min(e, max(x, c)) is rewritten to max(x, c)",
    made=Made.EXACTLY,
    mutant="tir.drop-term{of=extremum,operand=left}@main#1",
    right=kernel(
        "A: (16,) int32, C: (16,) int32, B: (16,) int32",
        """
for i in range(16):
    B[i] = T.min(A[i], T.max(C[i], 5))
""",
    ),
    wrong=kernel(
        "A: (16,) int32, C: (16,) int32, B: (16,) int32",
        """
for i in range(16):
    B[i] = T.max(C[i], 5)
""",
    ),
    inputs=[np.arange(16, dtype="int32"), np.arange(16, dtype="int32")[::-1].copy()],
)

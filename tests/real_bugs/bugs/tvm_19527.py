import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#19527",
    area="ONNX frontend",
    title="ScatterElements ignores its reduction: it replaces elements instead of adding to them",
    made=Made.EXACTLY,
    mutant="tir.drop-accumulation@main#0",
    right=kernel(
        "A: (16,), I: (16,) int32, B: (16,)",
        """
for i in range(16):
    B[I[i]] = B[I[i]] + A[i]
""",
    ),
    wrong=kernel(
        "A: (16,), I: (16,) int32, B: (16,)",
        """
for i in range(16):
    B[I[i]] = A[i]
""",
    ),
    inputs=[np.arange(16, dtype="float32"), np.arange(16, dtype="int32") // 2],
)

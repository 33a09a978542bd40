import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#19742",
    area="software pipeline",
    title="opaque calls that read a double buffer always read its first version",
    made=Made.EXACTLY,
    mutant="tir.double-buffer-index{of=argument,half=first}@main#0",
    right=kernel(
        "A: (16,), B: (16,)",
        """
S = T.alloc_buffer((8,), "float32")
for i in range(4):
    for j in range(4):
        S[i % 2 * 4 + j] = A[i * 4 + j]
    T.evaluate(
        T.call_extern("handle", "memcpy", B.access_ptr("w", offset=i * 4), S.access_ptr("r", offset=i % 2 * 4), 16)
    )
""",
    ),
    wrong=kernel(
        "A: (16,), B: (16,)",
        """
S = T.alloc_buffer((8,), "float32")
for i in range(4):
    for j in range(4):
        S[i % 2 * 4 + j] = A[i * 4 + j]
    T.evaluate(
        T.call_extern("handle", "memcpy", B.access_ptr("w", offset=i * 4), S.access_ptr("r", offset=T.Mul(0, 4)), 16)
    )
""",
    ),
    inputs=[np.arange(16, dtype="float32")],
)

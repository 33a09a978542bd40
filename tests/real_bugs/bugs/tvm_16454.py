import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#16454",
    area="ThreadSync",
    title="no barrier before a read of shared memory in a let statement",
    made=Made.EXACTLY,
    mutant="tir.drop-barrier@main#0",
    right=kernel(
        "A: (32,), B: (32,)",
        """
with T.launch_thread("threadIdx.x", 32) as t:
    S = T.alloc_buffer((32,), "float32", scope="shared")
    S[t] = A[t]
    T.tvm_storage_sync("shared")
    v: T.let[T.float32] = S[31 - t]
    B[t] = v * v
""",
    ),
    wrong=kernel(
        "A: (32,), B: (32,)",
        """
with T.launch_thread("threadIdx.x", 32) as t:
    S = T.alloc_buffer((32,), "float32", scope="shared")
    S[t] = A[t]
    T.evaluate(0)
    v: T.let[T.float32] = S[31 - t]
    B[t] = v * v
""",
    ),
    inputs=[np.arange(32, dtype="float32")],
)

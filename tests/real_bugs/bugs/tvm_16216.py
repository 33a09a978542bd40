import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#16216",
    area="shared memory",
    title="dynamic shared memory is reused for another buffer while it is still read",
    made=Made.EXACTLY,
    mutant="tir.alias-buffers@main#0",
    right=kernel(
        "A: (32,), B: (32,)",
        """
with T.launch_thread("threadIdx.x", 32) as t:
    P = T.alloc_buffer((32,), "float32", scope="shared.dyn")
    Q = T.alloc_buffer((32,), "float32", scope="shared.dyn")
    P[t] = A[t]
    T.tvm_storage_sync("shared.dyn")
    Q[t] = P[31 - t]
    T.tvm_storage_sync("shared.dyn")
    B[t] = P[t] + Q[t] * T.float32(2)
""",
    ),
    wrong=kernel(
        "A: (32,), B: (32,)",
        """
with T.launch_thread("threadIdx.x", 32) as t:
    P = T.alloc_buffer((32,), "float32", scope="shared.dyn")
    P[t] = A[t]
    T.tvm_storage_sync("shared.dyn")
    P[t] = P[31 - t]
    T.tvm_storage_sync("shared.dyn")
    B[t] = P[t] + P[t] * T.float32(2)
""",
    ),
    inputs=[np.arange(32, dtype="float32")],
)

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#15478",
    area="ThreadSync",
    title="no barrier between two buffers in dynamic shared memory",
    made=Made.EXACTLY,
    mutant="tir.drop-barrier@main#0",
    right=kernel(
        "A: (32,), B: (32,)",
        """
with T.launch_thread("threadIdx.x", 32) as t:
    S = T.alloc_buffer((32,), "float32", scope="shared.dyn")
    S[t] = A[t]
    T.tvm_storage_sync("shared.dyn")
    B[t] = S[31 - t]
""",
    ),
    wrong=kernel(
        "A: (32,), B: (32,)",
        """
with T.launch_thread("threadIdx.x", 32) as t:
    S = T.alloc_buffer((32,), "float32", scope="shared.dyn")
    S[t] = A[t]
    T.evaluate(0)
    B[t] = S[31 - t]
""",
    ),
    inputs=[np.arange(32, dtype="float32")],
)

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#16406",
    area="cross-thread reduction",
    title="the loop of threads around a block without reduction is removed",
    made=Made.EXACTLY,
    mutant="tir.thread-extent{to=1}@main#0",
    right=kernel(
        "A: (16,), B: (16,)",
        """
for t in T.thread_binding(16, thread="threadIdx.x"):
    B[t] = A[t]
""",
    ),
    wrong=kernel(
        "A: (16,), B: (16,)",
        """
for t in T.thread_binding(1, thread="threadIdx.x"):
    B[t] = A[t]
""",
    ),
    inputs=[np.arange(16, dtype="float32")],
)

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#20116",
    area="TE",
    title="a reduction is initialised again at an inner level, so it keeps the last slice only",
    made=Made.EXACTLY,
    mutant="tir.repeat-initialisation{iterator=last}@main#0",
    right=kernel(
        "A: (4, 3, 2), B: (4,)",
        """
for i, ko, ki in T.grid(4, 3, 2):
    with T.sblock("sum"):
        vi, vo, vk = T.axis.remap("SRR", [i, ko, ki])
        T.reads(A[vi, vo, vk])
        T.writes(B[vi])
        with T.init():
            B[vi] = T.float32(0)
        B[vi] = B[vi] + A[vi, vo, vk]
""",
    ),
    wrong=kernel(
        "A: (4, 3, 2), B: (4,)",
        """
for i, ko, ki in T.grid(4, 3, 2):
    with T.sblock("sum"):
        vi, vo, vk = T.axis.remap("SRR", [i, ko, ki])
        T.reads(A[vi, vo, vk])
        T.writes(B[vi])
        if vk == 0:
            B[vi] = T.float32(0)
        B[vi] = B[vi] + A[vi, vo, vk]
""",
    ),
    inputs=[np.arange(24, dtype="float32").reshape(4, 3, 2)],
)

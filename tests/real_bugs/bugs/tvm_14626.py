import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#14626",
    area="S-TIR",
    title="the initialisation of a cached reduction is stored to the original buffer, not to the cache",
    made=Made.NEARLY,
    mutant="tir.drop-initialisation@main#0",
    right=kernel(
        "A: (4, 6), B: (4,)",
        """
for i, k in T.grid(4, 6):
    with T.sblock("sum"):
        vi, vk = T.axis.remap("SR", [i, k])
        T.reads(A[vi, vk])
        T.writes(B[vi])
        with T.init():
            B[vi] = T.float32(0)
        B[vi] = B[vi] + A[vi, vk]
""",
    ),
    wrong=kernel(
        "A: (4, 6), B: (4,)",
        """
for i, k in T.grid(4, 6):
    with T.sblock("sum"):
        vi, vk = T.axis.remap("SR", [i, k])
        T.reads(A[vi, vk])
        T.writes(B[vi])
        B[vi] = B[vi] + A[vi, vk]
""",
    ),
    inputs=[np.ones((4, 6), "float32")],
    remark="the sum starts uninitialised in both; the mutant has no other buffer",
)

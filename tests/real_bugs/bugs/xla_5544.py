import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="openxla/xla#5544",
    area="reductions",
    title="the maximum of 8193 negative zeros is the initial value",
    made=Made.NEARLY,
    mutant="tir.drop-term{of=extremum}@main#0",
    right=kernel(
        "A: (4, 6), B: (4,)",
        """
for i, k in T.grid(4, 6):
    with T.sblock("sum"):
        vi, vk = T.axis.remap("SR", [i, k])
        T.reads(A[vi, vk])
        T.writes(B[vi])
        with T.init():
            B[vi] = T.float32(-1e30)
        B[vi] = T.max(B[vi], A[vi, vk])
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
        with T.init():
            B[vi] = T.float32(-1e30)
        B[vi] = B[vi]
""",
    ),
    inputs=[np.full((4, 6), -0.0, "float32")],
    remark="for all inputs, not for negative zeros only; the cause was not read",
)

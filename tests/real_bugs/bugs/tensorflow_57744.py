import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="tensorflow/tensorflow#57744",
    area="XLA",
    title="the logarithm of NaN is a number",
    made=Made.NEARLY,
    mutant="tir.force-condition{to=true}@main#0",
    right=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    B[i] = T.Select(A[i] <= T.max(A[i], T.float32(0.5)), T.max(A[i], T.float32(0.5)), A[i])
""",
    ),
    wrong=kernel(
        "A: (16,), B: (16,)",
        """
for i in range(16):
    B[i] = T.max(A[i], T.float32(0.5))
""",
    ),
    inputs=[np.array([np.nan, *range(15)], dtype="float32")],
    remark="the argument of the logarithm, without the comparison that keeps NaN; the cause was not read",
)

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

BUG = RealBug(
    reference="apache/tvm#16242",
    area="C code generation",
    title="the sides of a conditional expression are evaluated before its condition",
    made=Made.EXACTLY,
    mutant="tir.eager-condition@main#0",
    right=kernel(
        "A: (16,) int32, B: (16,) int32",
        """
T.evaluate(T.call_extern("int32", "srand", 1))
for i in range(16):
    B[i] = T.if_then_else(A[i] < 8, T.call_extern("int32", "rand"), 0)
""",
    ),
    wrong=kernel(
        "A: (16,) int32, B: (16,) int32",
        """
T.evaluate(T.call_extern("int32", "srand", 1))
for i in range(16):
    B[i] = T.Select(A[i] < 8, T.call_extern("int32", "rand"), 0)
""",
    ),
    inputs=[np.arange(16, dtype="int32") * 5 % 16],
)

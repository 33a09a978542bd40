import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, graph

SIGNATURE = "x: (2, 3)"
BUG = RealBug(
    reference="apache/tvm#19512",
    area="PyTorch frontend",
    title="the correction n / (n - 1) of a variance is missing",
    made=Made.EXACTLY,
    mutant="graph.drop-operand{at=multiply,keep=first}@main#0",
    right=graph(
        SIGNATURE,
        """
lv = R.variance(x, axis=[1])
R.multiply(lv, R.const(1.5, "float32"))
""",
    ),
    wrong=graph(
        SIGNATURE,
        """
lv = R.variance(x, axis=[1])
lv
""",
    ),
    inputs=[np.arange(6, dtype="float32").reshape(2, 3)],
)

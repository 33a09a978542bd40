import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, graph

SIGNATURE = "x: (2, 3), y: (2, 2), z: (2, 3)"
BUG = RealBug(
    reference="apache/tvm#15497",
    area="PyTorch frontend",
    title="addmm without its factors alpha and beta",
    made=Made.EXACTLY,
    mutant="graph.drop-operand{at=multiply,keep=first}@main#*",
    right=graph(
        SIGNATURE,
        """
lv = R.matmul(y, z)
lv1 = R.multiply(lv, R.const(0.25, "float32"))
lv2 = R.multiply(x, R.const(2.0, "float32"))
R.add(lv2, lv1)
""",
    ),
    wrong=graph(
        SIGNATURE,
        """
lv = R.matmul(y, z)
lv1 = lv
lv2 = x
R.add(lv2, lv1)
""",
    ),
    inputs=[*(np.ones(shape, "float32") for shape in [(2, 3), (2, 2), (2, 3)])],
)

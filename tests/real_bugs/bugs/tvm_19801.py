import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, graph

SIGNATURE = "x: (1, 2)"
BUG = RealBug(
    reference="apache/tvm#19801",
    area="FuseOpsByPattern",
    title="two fused layers are taken for one, and the second gets the weights of the first",
    made=Made.EXACTLY,
    mutant="graph.borrow-weights{of=weights}@main#1",
    right=graph(
        SIGNATURE,
        """
lv = R.matmul(x, R.const([[1.0, 2.0], [3.0, 4.0]], "float32"))
R.matmul(lv, R.const([[5.0, 6.0], [7.0, 8.0]], "float32"))
""",
    ),
    wrong=graph(
        SIGNATURE,
        """
lv = R.matmul(x, R.const([[1.0, 2.0], [3.0, 4.0]], "float32"))
R.matmul(lv, R.const([[1.0, 2.0], [3.0, 4.0]], "float32"))
""",
    ),
    inputs=[np.ones((1, 2), "float32")],
)

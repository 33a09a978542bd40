import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, graph

SIGNATURE = "x: (1, 1, 2, 2)"
BUG = RealBug(
    reference="apache/tvm#20053",
    area="ONNX frontend",
    title="an Lp pooling takes powers of values in place of powers of their magnitudes",
    made=Made.EXACTLY,
    mutant="graph.drop-layer{kind=unary}@main#0",
    right=graph(
        SIGNATURE,
        """
lv = R.abs(x)
lv1 = R.power(lv, R.const(3.0, "float32"))
R.nn.avg_pool2d(lv1, pool_size=[2, 2])
""",
    ),
    wrong=graph(
        SIGNATURE,
        """
lv = x
lv1 = R.power(lv, R.const(3.0, "float32"))
R.nn.avg_pool2d(lv1, pool_size=[2, 2])
""",
    ),
    inputs=[np.array([-1, 2, -3, 4], "float32").reshape(1, 1, 2, 2)],
)

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, graph

SIGNATURE = "x: (1, 1, 2, 2)"
BUG = RealBug(
    reference="microsoft/onnxruntime#22177",
    area="fusion of Pad into AveragePool",
    title="zeros of a Pad are left out of the averages",
    made=Made.EXACTLY,
    mutant="graph.flip-count-include-pad@main#0",
    right=graph(
        SIGNATURE,
        """
R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1], count_include_pad=True)
""",
    ),
    wrong=graph(
        SIGNATURE,
        """
R.nn.avg_pool2d(x, pool_size=[3, 3], padding=[1, 1, 1, 1])
""",
    ),
    inputs=[np.ones((1, 1, 2, 2), "float32")],
)

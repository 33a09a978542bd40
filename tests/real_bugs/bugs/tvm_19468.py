import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, graph

SIGNATURE = "x: (8,)"
BUG = RealBug(
    reference="apache/tvm#19468",
    area="TFLite frontend",
    title="a reversed slice ends one element early, and its shape is one less",
    made=Made.EXACTLY,
    mutant="shape.slice-end@main#0",
    right=graph(
        SIGNATURE,
        """
R.strided_slice(x, axes=[0], begin=[7], end=[-9], strides=[-1])
""",
    ),
    wrong=graph(
        SIGNATURE,
        """
R.strided_slice(x, axes=[0], begin=[7], end=[-8], strides=[-1])
""",
    ),
    inputs=[np.arange(8, dtype="float32")],
)

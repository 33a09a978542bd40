import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, graph

SIGNATURE = "x: (2, 3)"
BUG = RealBug(
    reference="apache/tvm#19511",
    area="PyTorch frontend",
    title="only the first of several axes is flipped",
    made=Made.EXACTLY,
    mutant="graph.drop-layer{kind=rearrangement}@main#1",
    right=graph(
        SIGNATURE,
        """
lv = R.flip(x, axis=0)
R.flip(lv, axis=1)
""",
    ),
    wrong=graph(
        SIGNATURE,
        """
lv = R.flip(x, axis=0)
lv
""",
    ),
    inputs=[np.arange(6, dtype="float32").reshape(2, 3)],
)

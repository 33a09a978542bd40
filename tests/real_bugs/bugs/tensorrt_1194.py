import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, graph

SIGNATURE = "x: (1, 1, 2, 2)"
BUG = RealBug(
    reference="NVIDIA/TensorRT#1194",
    area="ONNX parser",
    title="a resized image differs",
    made=Made.NEARLY,
    mutant="graph.wrong-resize{to=asymmetric}@main#0",
    right=graph(
        SIGNATURE,
        """
R.image.resize2d(x, R.shape([4, 4]), coordinate_transformation_mode="half_pixel")
""",
    ),
    wrong=graph(
        SIGNATURE,
        """
R.image.resize2d(x, R.shape([4, 4]), coordinate_transformation_mode="asymmetric")
""",
    ),
    inputs=[np.arange(4, dtype="float32").reshape(1, 1, 2, 2)],
    remark="the report does not say which attribute of the operator is wrong",
)

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, graph


def convolution(weights: str, dilation: int) -> str:
    call = f'R.nn.conv2d_transpose(x, R.const({weights}, "float32"), dilation=[1, {dilation}])'
    return graph("x: (1, 2, 2, 2)", call)


BUG = RealBug(
    reference="apache/tvm#17968",
    area="PyTorch frontend",
    title="a transposed convolution with weights read as OIW, and its dilation from the place of output_padding",
    made=Made.EXACTLY,
    mutant="import.confuse-attributes{pair=output-padding-dilation}@main#0+graph.transpose-weights@main#0",
    right=convolution("[[[[1.0, 2.0]], [[3.0, 4.0]]], [[[5.0, 6.0]], [[7.0, 8.0]]]]", dilation=2),
    wrong=convolution("[[[[1.0, 2.0]], [[5.0, 6.0]]], [[[3.0, 4.0]], [[7.0, 8.0]]]]", dilation=1),
    inputs=[np.arange(8, dtype="float32").reshape(1, 2, 2, 2)],
)

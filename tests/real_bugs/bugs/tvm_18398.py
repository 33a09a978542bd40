from functools import reduce

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug, kernel

LANES = [
    f'T.shift_left(T.Cast("int32", T.Shuffle([A[T.Ramp(0, 1, 4)]], [{lane}])), T.int32({lane * 8}))'
    for lane in range(4)
]
BUG = RealBug(
    reference="apache/tvm#18398",
    area="CUDA",
    title="bytes are packed into an integer without a mask, so the bits of a sign spill into the next bytes",
    made=Made.EXACTLY,
    mutant="codegen.pack-lanes{how=unmasked}@main#0",
    right=kernel(
        "A: (4,) int8, B: (4,) int8",
        """
B[T.Ramp(0, 1, 4)] = A[T.Ramp(0, 1, 4)]
""",
    ),
    wrong=kernel(
        "A: (4,) int8, B: (4,) int8",
        'B[T.Ramp(0, 1, 4)] = T.reinterpret("int8x4", ' + reduce("T.bitwise_or({}, {})".format, LANES) + ")",
    ),
    inputs=[np.array([-1, 2, -3, 4], dtype="int8")],
)

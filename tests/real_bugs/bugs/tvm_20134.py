import numpy as np

from tests.real_bugs.real_bug import Made, RealBug
from tests.real_bugs.two_kernels import plan

BUG = RealBug(
    reference="apache/tvm#20134",
    area="StaticPlanBlockMemory",
    title="storage is used again while a reshape of its tensor is still read",
    made=Made.EXACTLY,
    mutant="memory.share-storage{of=view}@main#0",
    right=plan("two", reshaped=True),
    wrong=plan("one", reshaped=True),
    inputs=[np.arange(1, 5, dtype="float32")],
)

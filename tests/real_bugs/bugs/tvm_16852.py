import numpy as np

from tests.real_bugs.real_bug import Made, RealBug
from tests.real_bugs.two_kernels import plan

BUG = RealBug(
    reference="apache/tvm#16852",
    area="common subexpressions",
    title="two allocations of tensors are taken for one",
    made=Made.NEARLY,
    mutant="memory.share-storage{of=tensor}@main#0",
    right=plan("two", reshaped=False),
    wrong=plan("one", reshaped=False),
    inputs=[np.arange(1, 5, dtype="float32")],
    remark="the tensors stay two, in one storage",
)

import numpy as np

from tests.real_bugs.real_bug import Made, RealBug
from tests.real_bugs.two_kernels import calls

BUG = RealBug(
    reference="apache/tvm#15291",
    area="executor",
    title="arguments of a kernel are copied, so that an input that is set without a copy is not seen",
    made=Made.NEARLY,
    mutant="call.unset-input@main#0",
    right=calls("lv, x"),
    wrong=calls("lv, x", first="R.const([0.0, 0.0, 0.0, 0.0], 'float32')"),
    inputs=[np.arange(1, 5, dtype="float32")],
    remark="the kernel sees zeros, not the input of an earlier call",
)

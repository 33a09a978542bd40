import numpy as np

from tests.real_bugs.real_bug import Made, RealBug
from tests.real_bugs.two_kernels import calls

BUG = RealBug(
    reference="apache/tvm#16988",
    area="key-value cache",
    title="auxiliary data of the cache is copied to the device in the wrong order",
    made=Made.NEARLY,
    mutant="call.swap-arguments@main#0",
    right=calls("lv, x"),
    wrong=calls("x, lv"),
    inputs=[np.arange(1, 5, dtype="float32")],
    remark="arguments of a kernel are exchanged; the cache itself is C++ of TVM's runtime and no part of a program",
)

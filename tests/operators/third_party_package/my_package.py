from tvm.ir import prim

from tvm_mutate import Category, Example, Operator, Slot, TirRule

KERNEL = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8,), "float32")):
    for i in range(8):
        A[i] = A[i] {} T.float32(1)
"""


def subtract(node, parameters):
    return prim.Sub(node.a, node.b) if node.ty.dtype.is_float else None  # indices are left alone


ADD_TO_SUBTRACT = Operator(
    name="tir.add-to-subtract",
    slots=(Slot.KERNEL, Slot.LOWERED),
    category=Category.KERNEL_STORES,
    description="subtracts where the kernel adds numbers",
    rule=TirRule((prim.Add,), subtract),
    examples=(Example(before=KERNEL.format("+"), after=KERNEL.format("-")),),
)

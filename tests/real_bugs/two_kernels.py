"""Programs of two kernels, for bugs in calls of kernels and in the plan of memory."""

from tvm_mutate.operators.kernel_calls import TWO_KERNELS


def calls(second: str, first: str = "x") -> str:
    """A program that doubles ``first`` and subtracts the values ``second``, such as ``lv, x``."""
    return f"""{TWO_KERNELS}
    @R.function
    def main(x: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
        cls = Module
        with R.dataflow():
            lv = R.call_tir(cls.double, ({first},), R.Tensor((4,), "float32"))
            gv = R.call_tir(cls.minus, ({second}), R.Tensor((4,), "float32"))
            R.output(gv)
        return gv
"""


def plan(storage: str, reshaped: bool) -> str:
    """A program with planned memory whose second tensor is in ``storage``, ``one`` or ``two``.

    The first tensor is read after the second is written, as itself or through a reshape.
    """
    view = "R.reshape(a, R.shape([4]))" if reshaped else "a"
    return f"""{TWO_KERNELS}
    @R.function(pure=False)
    def main(x: R.Tensor((4,), "float32")) -> R.Tensor((4,), "float32"):
        cls = Module
        one: R.Any = R.memory.alloc_storage(R.shape([16]), R.prim_value(0), R.str("global"), R.dtype("float32"))
        a = R.memory.alloc_tensor(one, R.prim_value(0), R.shape([4]), R.dtype("float32"))
        _: R.Tuple = cls.double(x, a)
        view = {view}
        two: R.Any = R.memory.alloc_storage(R.shape([16]), R.prim_value(0), R.str("global"), R.dtype("float32"))
        b = R.memory.alloc_tensor({storage}, R.prim_value(0), R.shape([4]), R.dtype("float32"))
        _1: R.Tuple = cls.double(view, b)
        three: R.Any = R.memory.alloc_storage(R.shape([16]), R.prim_value(0), R.str("global"), R.dtype("float32"))
        c = R.memory.alloc_tensor(three, R.prim_value(0), R.shape([4]), R.dtype("float32"))
        _2: R.Tuple = cls.double(b, c)
        d = R.builtin.alloc_tensor(R.shape([4]), R.dtype("float32"), R.prim_value(0))
        _3: R.Tuple = cls.minus(view, c, d)
        return d
"""

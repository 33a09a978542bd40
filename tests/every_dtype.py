"""A model of two inputs and six outputs in six dtypes, which is no classifier: its first output is of booleans."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax

from tvm_mutate.samples import Samples

DTYPES = ["bool", "float16", "bfloat16", "float64", "int8", "int64"]  # of the outputs


def model() -> tvm.IRModule:
    weights = np.random.default_rng(7).normal(size=(8, 8))
    op, builder = relax.op, relax.BlockBuilder()
    half, whole = (relax.TensorType((2, 8), dtype) for dtype in ("float16", "int64"))
    x, ids = (relax.Var(*each) for each in (("x", half), ("ids", whole)))
    with builder.function("main", [x, ids]):
        with builder.dataflow():
            product = builder.emit(op.nn.relu(op.matmul(x, relax.const(weights, "float16"))))
            brain = builder.emit(op.add(op.astype(product, "bfloat16"), relax.const(weights[:1], "bfloat16")))
            double = builder.emit(op.matmul(op.astype(ids, "float64"), relax.const(weights, "float64")))
            small = builder.emit(op.astype(op.clip(double, relax.prim_value(-9.0), relax.prim_value(9.0)), "int8"))
            moved = builder.emit(op.add(ids, relax.const(3, "int64")))
            larger = builder.emit(op.greater(product, relax.const(1.0, "float16")))
            outputs = [builder.emit_output(each) for each in (larger, product, brain, double, small, moved)]
        builder.emit_func_output(relax.Tuple(outputs))
    return builder.get()


def samples(count: int = 2) -> Samples:
    random = np.random.default_rng(0)
    x, ids = random.normal(size=(count, 2, 8)), random.integers(-5, 5, size=(count, 2, 8))
    return Samples((x.astype("float16"), ids))

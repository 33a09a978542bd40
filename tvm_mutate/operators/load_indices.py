"""Memory & Initialisation: loads that read the element beside the right one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm.ir import TensorLoad

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule, Value
from tvm_mutate.operators.bounded_indices import extent_of, moved_within, with_index
from tvm_mutate.operators.parameters import STEPS
from tvm_mutate.operators.tir_nodes import constant_like

_SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)


def _shift(load: Any, parameters: Parameters) -> Any | None:
    by, dimension = int(parameters["by"]), -int(parameters["dimension"])
    extent = extent_of(load, dimension) if dimension < 0 else None
    moved = None if extent is None or by == 0 else moved_within(load.indices[dimension], by, extent)
    return None if moved is None else with_index(load, dimension, moved)


def _overrun(load: Any, parameters: Parameters) -> Any | None:
    by = int(parameters["by"])
    if by == 0 or not len(load.indices) or extent_of(load, -1) is None:
        return None
    distance = constant_like(load.indices[-1], abs(by))
    return with_index(load, -1, load.indices[-1] + distance if by > 0 else load.indices[-1] - distance)


def _example(before: str, after: str, parameters: Mapping[str, Value]) -> Example:
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 16), "float32"), B: T.Buffer((4, 16), "float32")):
    for i, j in T.grid(4, 16):
        B[i, j] = {}
"""
    return Example(script.format(before), script.format(after), parameters)


SHIFT_LOAD_INDEX = Operator(
    name="tir.shift-load-index",
    fault="an index that is one off after padding, flattening or inlining (incorrect index, Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="shifts the index of a load in one dimension, held within the buffer, so that the element next to "
    "the right one is read",
    rule=TirRule((TensorLoad,), _shift),
    parameters=(
        Parameter("by", "how far the index moves", -1, magnitude=STEPS),
        Parameter("dimension", "the dimension in which it moves, counted from the last, which is 1", 1),
    ),
    variants=({"by": -1},),
    # Where a kernel reads what it writes, as sums do, the next element may be memory that was never written.
    more_variants=({"by": 1}, {"by": -1, "dimension": 2}, {"by": 1, "dimension": 2}),
    examples=(
        _example("A[i, j] + A[i, 3]", "A[i, T.max(j - 1, 0)] + A[i, 2]", {"by": -1}),
        _example("A[i, j]", "A[i, T.min(j + 1, 15)]", {"by": 1}),
        _example("A[i, j] + A[0, j]", "A[T.max(i - 1, 0), j] + A[0, j]", {"by": -1, "dimension": 2}),
    ),
    undefined_behaviour=True,
)

OVERRUN_LOAD = Operator(
    name="tir.overrun-load",
    fault="an index that is one off and that nothing holds within the buffer (incorrect index, Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="shifts the last index of a load and lets it run over the edge of its row, and at the end of the "
    "buffer over that of the buffer",
    rule=TirRule((TensorLoad,), _overrun),
    parameters=(Parameter("by", "how far the index moves", 1, magnitude=STEPS),),
    variants=({"by": 1}, {"by": -1}),
    examples=(
        _example("A[i, j]", "A[i, j + 1]", {"by": 1}),
        _example("A[i, j] + A[0, 0]", "A[i, j - 1] + A[0, -1]", {"by": -1}),
    ),
    undefined_behaviour=True,
    by_default=False,
)

OPERATORS = (SHIFT_LOAD_INDEX, OVERRUN_LOAD)

"""Memory & Initialisation: two indices of a load or store exchanged, where both dimensions are of one extent."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad

from tvm_mutate.mutant import Category, Example, Operator, Parameters, Slot, TirRule
from tvm_mutate.operators.bounded_indices import extent_of, with_indices

# Buffers are flat after the TIR pipeline.
_SLOTS = (Slot.KERNEL,)


def _swap(access: Any, _parameters: Parameters) -> Any | None:
    indices = list(access.indices)
    for first, second in combinations(reversed(range(len(indices))), 2):
        extent = extent_of(access, first)
        same = tvm_ffi.structural_equal(indices[first], indices[second])
        if extent is not None and extent == extent_of(access, second) and not same:
            indices[first], indices[second] = indices[second], indices[first]
            return with_indices(access, indices)
    return None


_COPY = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((8, 8), "float32")):
    for i, j in T.grid(8, 8):
        B[{}] = A[{}] + A[0, 0]
"""
_CHANNELS = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4, 4, 7, 7), "float32"), B: T.Buffer((4, 4, 7, 9), "float32")):
    for n, c, h, w in T.grid(4, 4, 7, 7):
        B[{}] = A[{}]
"""

SWAP_LOAD_INDICES = Operator(
    name="tir.swap-load-indices",
    fault="data read in another layout than it was written in (layout problems, Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="exchanges two indices of a load whose dimensions have the same extent, the last two that have; "
    "indices that are the same are no site",
    rule=TirRule((TensorLoad,), _swap),
    examples=(
        Example(_COPY.format("i, j", "i, j"), _COPY.format("i, j", "j, i")),
        Example(_CHANNELS.format("n, c, h, w", "n, c, 3, 3"), _CHANNELS.format("n, c, h, w", "c, n, 3, 3")),
    ),
    # The place of an accumulator that is read in the other order may not have been written yet.
    undefined_behaviour=True,
)

SWAP_STORE_INDICES = Operator(
    name="tir.swap-store-indices",
    fault="data written in another layout than it is read in (layout problems, Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.MEMORY,
    description="exchanges two indices of a store whose dimensions have the same extent, the last two that have; "
    "indices that are the same are no site",
    rule=TirRule((tirx.BufferStore,), _swap),
    examples=(
        Example(_COPY.format("i, j", "i, j"), _COPY.format("j, i", "i, j")),
        Example(_CHANNELS.format("n, c, h, w", "n, c, h, w"), _CHANNELS.format("c, n, h, w", "n, c, h, w")),
    ),
)

OPERATORS = (SWAP_LOAD_INDICES, SWAP_STORE_INDICES)

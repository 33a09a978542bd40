"""Loop Structure: loops with another step, order or kind, and annotations that are lost."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.s_tir import SBlock

from tvm_mutate.mutant import Category, Example, Magnitude, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import (
    SPATIAL,
    block_with,
    constant_like,
    is_thread,
    iterator_extent,
    literal,
    loop_with,
    storing,
    substituted,
)

_KINDS = {
    "serial": tirx.ForKind.SERIAL,
    "parallel": tirx.ForKind.PARALLEL,
    "vectorized": tirx.ForKind.VECTORIZED,
    "unrolled": tirx.ForKind.UNROLLED,
}
_NAMES = tuple(_KINDS)
_UNROLLED_AT_MOST = 64
_FOR_TUNERS = ("schedule_rule",)  # annotations that no pass of the lowering reads


def _step(loop: Any, parameters: Parameters) -> Any | None:
    by, extent = int(parameters["by"]), literal(loop.extent)
    if by < 2 or extent is None or extent < 2 or is_thread(loop) or loop.step is not None:
        return None
    return loop_with(loop, step=constant_like(loop.extent, by))


def _swap(block: Any, _parameters: Parameters) -> Any | None:
    store = block.body
    if not isinstance(store, tirx.BufferStore):
        return None
    spatial = [each for each in block.iter_vars if each.iter_type == SPATIAL and iterator_extent(each) > 1]
    for outer, inner in reversed(list(pairwise(spatial))):
        if iterator_extent(outer) == iterator_extent(inner):
            exchanged = {outer.var: inner.var, inner.var: outer.var}
            value = substituted(store.value, exchanged, kept=store.buffer)
            if not tvm_ffi.structural_equal(value, store.value):
                return block_with(block, body=storing(store, value))
    return None


def _kind(loop: Any, parameters: Parameters) -> Any | None:
    before, after = (_KINDS[str(parameters[name])] for name in ("from", "to"))
    extent = literal(loop.extent)
    if loop.kind != before or before == after or extent is None or extent < 2:
        return None
    if after != tirx.ForKind.SERIAL and _has_loops(loop.body):
        return None  # code generators take no parallel loop within another, and unrolled ones would multiply
    if after == tirx.ForKind.UNROLLED and extent > _UNROLLED_AT_MOST:
        return None
    return loop_with(loop, kind=after)


def _has_loops(body: Any) -> bool:
    loops: list[Any] = []
    tvm_ffi.structural_walk(body, [((tirx.For,), loops.append)])
    return bool(loops)


def _drop_annotations(node: Any, _parameters: Parameters) -> Any | None:
    kept = {key: value for key, value in node.annotations.items() if key in _FOR_TUNERS}
    if len(kept) == len(node.annotations):
        return None
    return block_with(node, annotations=kept) if isinstance(node, SBlock) else loop_with(node, annotations=kept)


def _copy(loop: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in {loop}:
        B[i] = A[i]
"""


def _pool(value: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((10, 10), "float32"), W: T.Buffer((3,), "float32"), B: T.Buffer((8, 8), "float32")):
    for i, j, k in T.grid(8, 8, 3):
        with T.sblock("pool"):
            vi, vj, vk = T.axis.remap("SSR", [i, j, k])
            T.reads(A[vi + vk, vj], W[vk])
            T.writes(B[vi, vj])
            with T.init():
                B[vi, vj] = T.float32(0)
            B[vi, vj] = B[vi, vj] + {value}
"""


def _transposed(value: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((8, 8), "float32")):
    for i, j in T.grid(8, 8):
        with T.sblock("copy"):
            vi, vj = T.axis.remap("SS", [i, j])
            T.reads(A[vi, vj])
            T.writes(B[vi, vj])
            B[vi, vj] = {value}
"""


def _aligned(annotation: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((8, 8), "float32"), B: T.Buffer((8, 8), "float32")):
    for i, j in T.grid(8, 8):
        with T.sblock("copy"):
            vi, vj = T.axis.remap("SS", [i, j])
            {annotation}
            B[vi, vj] = A[vi, vj]
"""


LOOP_STEP = Operator(
    name="tir.loop-step",
    fault="a loop whose step is scaled once too often, as by CanonicalizeLoop or vectorisation (incorrect loop "
    "bounds, Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.LOOPS,
    description="gives a loop a larger step, so that it passes over iterations",
    rule=TirRule((tirx.For,), _step),
    parameters=(Parameter("by", "the step, at least 2", 2, magnitude=Magnitude(1, 1024, neutral=1)),),
    examples=(
        Example(_copy("range(16)"), _copy("range(0, 16, 2)")),
        Example(_copy("T.vectorized(16)"), _copy("T.vectorized(0, 16, step=4)"), {"by": 4}),
    ),
    undefined_behaviour=True,
)

SWAP_LOOPS = Operator(
    name="tir.swap-loops",
    fault="the iterators of two loops taken for each other when they are reordered or fused (incorrect code logic, "
    "Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.LOOPS,
    description="exchanges the iterators of two neighbouring loops of equal extent in what a block stores, the "
    "innermost two where it matters, and not in where it is stored",
    rule=TirRule((SBlock,), _swap),
    examples=(
        Example(_transposed("A[vi, vj]"), _transposed("A[vj, vi]")),
        Example(_pool("A[vi + vk, vj] * W[vk]"), _pool("A[vj + vk, vi] * W[vk]")),
    ),
    undefined_behaviour=True,
)

LOOP_KIND = Operator(
    name="tir.loop-kind",
    fault="a schedule primitive applied where it is not legal, such as parallel on a reduction (incorrect "
    "scheduling, Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.LOOPS,
    description="runs a loop as one of another kind: a serial one only where it has no loop in it; a reduction run in "
    "parallel is a race, which a single thread does not show",
    rule=TirRule((tirx.For,), _kind),
    parameters=(
        Parameter("from", "the kind of loop that is changed", "serial", choices=_NAMES),
        Parameter("to", "the kind that it gets", "parallel", choices=_NAMES),
    ),
    variants=({"from": "serial", "to": "parallel"}, {"from": "serial", "to": "unrolled"}),
    more_variants=({"from": "vectorized", "to": "serial"}, {"from": "parallel", "to": "serial"}),
    examples=(
        Example(_copy("range(16)"), _copy("T.parallel(16)")),
        Example(_copy("T.vectorized(16)"), _copy("range(16)"), {"from": "vectorized", "to": "serial"}),
    ),
    undefined_behaviour=True,
    by_default=False,
)

DROP_ANNOTATION = Operator(
    name="tir.drop-annotation",
    fault="an annotation that a rewriting pass does not carry over to the block or loop that it makes (incorrect "
    "scheduling, Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.LOOPS,
    description="drops the annotations of a loop or block, which mostly are hints: unrolling, alignment, pipelining",
    rule=TirRule((tirx.For, SBlock), _drop_annotations),
    examples=(
        Example(_copy("T.serial(16, annotations={'pragma_auto_unroll_max_step': 16})"), _copy("range(16)")),
        Example(_aligned('T.sblock_attr({"buffer_dim_align": [[0, 0, 8, 2]]})'), _aligned("")),
    ),
    by_default=False,
)

OPERATORS = (LOOP_STEP, SWAP_LOOPS, LOOP_KIND, DROP_ANNOTATION)

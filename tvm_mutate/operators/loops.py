"""Loop Structure: ranges of loops and reductions, steps, order and kinds of loops, and lost annotations."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import prim
from tvm.s_tir import SBlock

from tvm_mutate.mutant import Category, Magnitude, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.parameters import STEPS
from tvm_mutate.operators.tir_nodes import (
    REDUCTION,
    SPATIAL,
    accumulated,
    constant_like,
    is_thread,
    iterator_extent,
    literal,
    node_with,
    nodes_within,
    storing,
    substituted,
)

_KINDS = {
    "serial": tirx.ForKind.SERIAL,
    "parallel": tirx.ForKind.PARALLEL,
    "vectorized": tirx.ForKind.VECTORIZED,
    "unrolled": tirx.ForKind.UNROLLED,
}
_UNROLLED_AT_MOST = 64
_FOR_TUNERS = ("schedule_rule",)  # annotations that no pass of the lowering reads


def _extent(loop: Any, parameters: Parameters) -> Any | None:
    return None if is_thread(loop) else _with_range(loop, 0, int(parameters["by"]))


def _thread_extent(loop: Any, parameters: Parameters) -> Any | None:
    if not is_thread(loop):
        return None
    to, extent = int(parameters["to"]), literal(loop.extent)
    return _with_range(loop, 0, to - int(extent) if to > 0 and extent is not None else int(parameters["by"]))


def _start(loop: Any, parameters: Parameters) -> Any | None:
    by = int(parameters["by"])
    shorter = None if by < 1 or is_thread(loop) else _with_range(loop, by, -by)
    if shorter is None or loop.kind != tirx.ForKind.PARALLEL:
        return shorter
    # Code generators accept parallel loops only from zero: the first iterations become empty instead.
    return node_with(loop, body=tirx.IfThenElse(prim.GE(loop.loop_var, shorter.min), loop.body, None))


def _with_range(loop: Any, later: int, longer: int) -> Any | None:
    """The loop with another start and extent; None if the extent is unknown or 1, or if no iteration would remain."""
    extent = literal(loop.extent)
    if extent is None or extent < 2 or extent + longer < 1 or longer == 0:
        return None
    start = loop.min + constant_like(loop.min, later)
    return node_with(loop, min=start, extent=constant_like(loop.extent, extent + longer))


def _reduction_extent(block: Any, parameters: Parameters) -> Any | None:
    iterator = _reduction_iterator(block, parameters)
    if iterator is None:
        return None
    return _only_where(prim.LT(iterator.var, constant_like(iterator.var, iterator_extent(iterator) - 1)), block)


def _reduction_start(block: Any, parameters: Parameters) -> Any | None:
    iterator = _reduction_iterator(block, parameters)
    return None if iterator is None else _only_where(prim.GE(iterator.var, constant_like(iterator.var, 1)), block)


def _reduction_iterator(block: Any, parameters: Parameters) -> Any | None:
    """The first or last reduction iterator with more than one value; a single iterator is the first."""
    iterators = [
        each
        for each in block.iter_vars
        if each.iter_type == REDUCTION and iterator_extent(each) > 1 and literal(each.dom.min) == 0
    ]
    if parameters["iterator"] == "first":
        return iterators[0] if iterators else None
    return iterators[-1] if len(iterators) > 1 else None


def _initialise_again(block: Any, parameters: Parameters) -> Any | None:
    iterators = [each for each in block.iter_vars if each.iter_type == REDUCTION and iterator_extent(each) > 1]
    if block.init is None or len(iterators) < 2:  # a single iterator starts once
        return None
    iterator = iterators[0 if parameters["iterator"] == "first" else -1]
    starts = tirx.IfThenElse(prim.EQ(iterator.var, iterator.dom.min), block.init, None)
    return node_with(block, body=tirx.SeqStmt([starts, block.body]), init=None)


def _only_where(condition: Any, block: Any) -> Any:
    """The block that updates only under a condition, and initialises as before.

    If the block initialises with a constant, this constant, which has no effect, replaces the omitted term: TVM lowers
    a reduction over threads only if no ``if`` encloses the update.
    """
    store, start = block.body, block.init
    term = accumulated(store, (prim.Add, prim.Mul, prim.Max, prim.Min)) if _is_store(store) else None
    if term is None or not _is_store(start) or literal(start.value) is None:
        return node_with(block, body=tirx.IfThenElse(condition, store, None))
    operands = [
        tirx.if_then_else(condition, term, start.value) if each.same_as(term) else each
        for each in (store.value.a, store.value.b)
    ]
    return node_with(block, body=storing(store, type(store.value)(*operands)))


def _is_store(statement: Any) -> bool:
    return isinstance(statement, tirx.BufferStore)


def _step(loop: Any, parameters: Parameters) -> Any | None:
    by, extent = int(parameters["by"]), literal(loop.extent)
    if by < 2 or extent is None or extent < 2 or is_thread(loop) or loop.step is not None:
        return None
    return node_with(loop, step=constant_like(loop.extent, by))


def _swap(block: Any, _parameters: Parameters) -> Any | None:
    store = block.body
    if not _is_store(store):
        return None
    spatial = [each for each in block.iter_vars if each.iter_type == SPATIAL and iterator_extent(each) > 1]
    for outer, inner in reversed(list(pairwise(spatial))):
        if iterator_extent(outer) == iterator_extent(inner):
            exchanged = {outer.var: inner.var, inner.var: outer.var}
            value = substituted(store.value, exchanged, kept=store.buffer)
            if not tvm_ffi.structural_equal(value, store.value):
                return node_with(block, body=storing(store, value))
    return None


def _kind(loop: Any, parameters: Parameters) -> Any | None:
    before, after = (_KINDS[str(parameters[name])] for name in ("from", "to"))
    extent = literal(loop.extent)
    if loop.kind != before or before == after or extent is None or extent < 2:
        return None
    if after != tirx.ForKind.SERIAL and nodes_within(loop.body, tirx.For):
        return None  # code generators refuse nested parallel loops, and nested unrolled loops would multiply
    if after == tirx.ForKind.UNROLLED and extent > _UNROLLED_AT_MOST:
        return None
    return node_with(loop, kind=after)


def _drop_annotations(node: Any, _parameters: Parameters) -> Any | None:
    kept = {key: value for key, value in node.annotations.items() if key in _FOR_TUNERS}
    return None if len(kept) == len(node.annotations) else node_with(node, annotations=kept)


_SLICES = """
    A: (16, 4, 3), B: (16,)
    for i, c, k in T.grid(16, 4, 3):
        with T.sblock("slices"):
            vi, vc, vk = T.axis.remap("SRR", [i, c, k])
            T.reads(A[vi, vc, vk])
            T.writes(B[vi])
            ...
"""
_paper = partial(Operator, slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN), category=Category.KERNEL_STORES, paper=True)
_operator = partial(Operator, slots=(Slot.KERNEL,), category=Category.LOOPS)
_reduction = partial(
    _operator,
    parameters=(Parameter("iterator", "which of several reduction iterators", "first", choices=("first", "last")),),
    variants=({"iterator": "first"}, {"iterator": "last"}),
)

OPERATORS = (
    _paper(
        name="tir.loop-extent",
        fault="a loop bound that is one off after a split or fusion (incorrect loop bounds, Shen et al. 2021)",
        description="changes the extent of a loop, so that the last iteration is left out or one iteration is added",
        rule=TirRule((tirx.For,), _extent),
        parameters=(Parameter("by", "how much longer the loop gets", -1, magnitude=STEPS),),
        variants=({"by": -1}, {"by": 1}),
        examples=kernel_examples("""
            function | by=-1
            for i in range(16): B[i] = A[i]
            for i in range(15): B[i] = A[i]
            function | by=1
            for i in T.parallel(16): B[i] = A[i]
            for i in T.parallel(17): B[i] = A[i]
            function | by=-1
            for i in T.vectorized(4, 8): B[i] = A[i]
            for i in T.vectorized(4, 7): B[i] = A[i]
        """),
        undefined_behaviour=True,
    ),
    _paper(
        name="tir.loop-start",
        fault="a loop that starts one late after a split or peeling (incorrect loop bounds, Shen et al. 2021)",
        description="starts a loop later with the same end, so that the first iteration is left out",
        rule=TirRule((tirx.For,), _start),
        parameters=(Parameter("by", "how much later the loop starts, at least 1", 1, magnitude=STEPS),),
        variants=({"by": 1},),
        examples=kernel_examples("""
            function | by=1
            for i in range(16): B[i] = A[i]
            for i in range(1, 16): B[i] = A[i]
            parallel
            B[i] = A[i]
            if i >= 1: B[i] = A[i]
            function | by=1
            for i in T.serial(2, 16, annotations={'hint': 1}): B[i] = A[i]
            for i in T.serial(3, 16, annotations={'hint': 1}): B[i] = A[i]
        """),
    ),
    _paper(
        name="tir.thread-extent",
        fault="a launch with one thread or block too few or too many (incorrect loop bounds, Shen et al. 2021), or "
        "a loop of threads that is lost, as in apache/tvm#16406",
        slots=(Slot.KERNEL,),
        description="changes the extent of a loop that is bound to GPU threads or blocks",
        rule=TirRule((tirx.For,), _thread_extent),
        parameters=(
            Parameter("by", "how many more threads or blocks run", -1, magnitude=STEPS),
            Parameter("to", "the number of threads or blocks, used instead of by unless it is zero", 0),
        ),
        variants=({"by": -1}, {"by": 1}),
        more_variants=({"to": 1},),
        examples=kernel_examples("""
            function | by=-1
            for i in T.thread_binding(16, thread='threadIdx.x'): B[i] = A[i]
            for i in T.thread_binding(15, thread='threadIdx.x'): B[i] = A[i]
            function | by=1
            for i in T.thread_binding(16, thread='blockIdx.x'): B[i] = A[i]
            for i in T.thread_binding(17, thread='blockIdx.x'): B[i] = A[i]
            function | to=1
            for i in T.thread_binding(16, thread='threadIdx.x'): B[i] = A[i]
            for i in T.thread_binding(1, thread='threadIdx.x'): B[i] = A[i]
        """),
        undefined_behaviour=True,
    ),
    _reduction(
        name="tir.reduction-extent",
        fault="a tail that is lost when a reduction is split or vectorised, as by LoopPartition (incorrect loop "
        "bounds, Shen et al. 2021)",
        description="leaves out the last value of a reduction's iterator",
        rule=TirRule((SBlock,), _reduction_extent),
        examples=kernel_examples("""
            window
            B[vi] = B[vi] + A[vi + vk, vc]
            B[vi] = B[vi] + T.if_then_else(vc < 3, A[vi + vk, vc], T.float32(0))
            window | iterator=last
            B[vi] = B[vi] + A[vi + vk, vc]
            B[vi] = B[vi] + T.if_then_else(vk < 2, A[vi + vk, vc], T.float32(0))
            decomposed-update
            B[vi] = B[vi] + A[vi, vk]
            if vk < 7: B[vi] = B[vi] + A[vi, vk]
        """),
    ),
    _reduction(
        name="tir.reduction-start",
        fault="a reduction that starts one late, for example after the initialising iteration is peeled off "
        "(incorrect loop bounds, Shen et al. 2021)",
        description="leaves out the first value of a reduction's iterator; the reduction is initialised as before",
        rule=TirRule((SBlock,), _reduction_start),
        examples=kernel_examples("""
            window
            B[vi] = B[vi] + A[vi + vk, vc]
            B[vi] = B[vi] + T.if_then_else(vc >= 1, A[vi + vk, vc], T.float32(0))
            window | iterator=last
            B[vi] = B[vi] + A[vi + vk, vc]
            B[vi] = B[vi] + T.if_then_else(vk >= 1, A[vi + vk, vc], T.float32(0))
            decomposed-update
            B[vi] = B[vi] + A[vi, vk]
            if vk >= 1: B[vi] = B[vi] + A[vi, vk]
        """),
    ),
    _reduction(
        name="tir.repeat-initialisation",
        fault="a reduction that is initialised again whenever one of its loops starts, as in apache/tvm#20116",
        description="initialises a reduction at each start of one of its iterators: the last one keeps the sum of "
        "the last slice, the first one restarts the sum in all of the first slice",
        rule=TirRule((SBlock,), _initialise_again),
        examples=kernel_examples(
            """
            slices | iterator=last
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vc, vk]
            if vk == 0: B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vc, vk]
            slices
            with T.init(): B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vc, vk]
            if vc == 0: B[vi] = T.float32(0); B[vi] = B[vi] + A[vi, vc, vk]
        """,
            {"slices": _SLICES},
        ),
    ),
    _operator(
        name="tir.loop-step",
        fault="a loop whose step is scaled once too often, as by CanonicalizeLoop or vectorisation (incorrect loop "
        "bounds, Shen et al. 2021)",
        description="gives a loop a larger step, so that the loop skips iterations",
        rule=TirRule((tirx.For,), _step),
        parameters=(Parameter("by", "the step, at least 2", 2, magnitude=Magnitude(1, 1024, neutral=1)),),
        examples=kernel_examples("""
            function
            for i in range(16): B[i] = A[i]
            for i in range(0, 16, 2): B[i] = A[i]
            function | by=4
            for i in T.vectorized(16): B[i] = A[i]
            for i in T.vectorized(0, 16, step=4): B[i] = A[i]
        """),
        undefined_behaviour=True,
    ),
    _operator(
        name="tir.swap-loops",
        fault="the iterators of two loops confused when the loops are reordered or fused (incorrect code logic, "
        "Shen et al. 2021)",
        description="exchanges the iterators of two neighbouring loops of equal extent in the value that a block "
        "stores, but not in the indices of the store; the innermost such loops are taken",
        rule=TirRule((SBlock,), _swap),
        examples=kernel_examples("""
            square
            B[vi, vj] = A[vi, vj]
            B[vi, vj] = A[vj, vi]
            window2d
            B[vi, vj] = B[vi, vj] + A[vi + vk, vj] * W[vk]
            B[vi, vj] = B[vi, vj] + A[vj + vk, vi] * W[vk]
        """),
        undefined_behaviour=True,
    ),
    _operator(
        name="tir.loop-kind",
        fault="a schedule primitive applied where it is not legal, such as parallel on a reduction (incorrect "
        "scheduling, Shen et al. 2021)",
        description="changes the kind of a loop, of a serial loop only if the loop contains no loop; a reduction run "
        "in parallel is a race, which a single thread does not show",
        rule=TirRule((tirx.For,), _kind),
        parameters=(
            Parameter("from", "the kind of loop that is changed", "serial", choices=tuple(_KINDS)),
            Parameter("to", "the new kind", "parallel", choices=tuple(_KINDS)),
        ),
        variants=({"from": "serial", "to": "parallel"}, {"from": "serial", "to": "unrolled"}),
        more_variants=({"from": "vectorized", "to": "serial"}, {"from": "parallel", "to": "serial"}),
        examples=kernel_examples("""
            function
            for i in range(16): B[i] = A[i]
            for i in T.parallel(16): B[i] = A[i]
            function | from=vectorized to=serial
            for i in T.vectorized(16): B[i] = A[i]
            for i in range(16): B[i] = A[i]
        """),
        undefined_behaviour=True,
        by_default=False,
    ),
    _operator(
        name="tir.drop-annotation",
        fault="an annotation that a rewriting pass does not copy to the new block or loop (incorrect scheduling, "
        "Shen et al. 2021)",
        description="drops the annotations of a loop or block, which mostly are hints: unrolling, alignment, "
        "pipelining",
        rule=TirRule((tirx.For, SBlock), _drop_annotations),
        examples=kernel_examples("""
            function
            for i in T.serial(16, annotations={'pragma_auto_unroll_max_step': 16}): B[i] = A[i]
            for i in range(16): B[i] = A[i]
            square
            T.sblock_attr({"buffer_dim_align": [[0, 0, 8, 2]]}); B[vi, vj] = A[vi, vj]
            B[vi, vj] = A[vi, vj]
        """),
        by_default=False,
    ),
)

"""Kernel Variables & Stores: loops that start late, or run an iteration short or over."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.ir import prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.parameters import STEPS
from tvm_mutate.operators.tir_nodes import constant_like, literal

_SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)


def _extent(loop: Any, parameters: Parameters) -> Any | None:
    return None if _is_thread(loop) else _with_range(loop, 0, int(parameters["by"]))


def _thread_extent(loop: Any, parameters: Parameters) -> Any | None:
    return _with_range(loop, 0, int(parameters["by"])) if _is_thread(loop) else None


def _start(loop: Any, parameters: Parameters) -> Any | None:
    by = int(parameters["by"])
    shorter = None if by < 1 or _is_thread(loop) else _with_range(loop, by, -by)
    if shorter is None or loop.kind != tirx.ForKind.PARALLEL:
        return shorter
    # Code generators take parallel loops only from zero: such a loop leaves its first iterations empty instead.
    guarded = tirx.IfThenElse(prim.GE(loop.loop_var, shorter.min), loop.body, None)
    return _loop(loop, loop.min, loop.extent, guarded)


def _is_thread(loop: Any) -> bool:
    return loop.kind == tirx.ForKind.THREAD_BINDING


def _with_range(loop: Any, later: int, longer: int) -> Any | None:
    """The loop with its start and extent moved; None if the extent is unknown or one, or nothing would be left."""
    extent = literal(loop.extent)
    if extent is None or extent < 2 or extent + longer < 1 or longer == 0:
        return None
    return _loop(
        loop, loop.min + constant_like(loop.min, later), constant_like(loop.extent, extent + longer), loop.body
    )


def _loop(loop: Any, start: Any, extent: Any, body: Any) -> Any:
    """The loop over the same variable, of the same kind, with another range and body."""
    kept = loop.thread_binding, loop.annotations, loop.step
    return tirx.For(loop.loop_var, start, extent, loop.kind, body, *kept)


def _example(before: str, after: str, by: int) -> Example:
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in {}:
        B[i] = A[i]
"""
    return Example(script.format(before), script.format(after), {"by": by})


LOOP_EXTENT = Operator(
    name="tir.loop-extent",
    fault="a loop bound that is one off after a split or fusion (incorrect loop bounds, Shen et al. 2021)",
    paper=True,
    slots=_SLOTS,
    category=Category.KERNEL_STORES,
    description="changes the extent of a loop, so that its last iteration is left out or one too many is run",
    rule=TirRule((tirx.For,), _extent),
    parameters=(Parameter("by", "how much longer the loop gets", -1, magnitude=STEPS),),
    variants=({"by": -1}, {"by": 1}),
    examples=(
        _example("range(16)", "range(15)", by=-1),
        _example("T.parallel(16)", "T.parallel(17)", by=1),
        _example("T.vectorized(4, 8)", "T.vectorized(4, 7)", by=-1),
    ),
    undefined_behaviour=True,
)

LOOP_START = Operator(
    name="tir.loop-start",
    fault="a loop that starts one late after a split or peeling (incorrect loop bounds, Shen et al. 2021)",
    paper=True,
    slots=_SLOTS,
    category=Category.KERNEL_STORES,
    description="starts a loop later and leaves its end where it was, so that the first iteration is left out",
    rule=TirRule((tirx.For,), _start),
    parameters=(Parameter("by", "how much later the loop starts, at least 1", 1, magnitude=STEPS),),
    variants=({"by": 1},),
    examples=(
        _example("range(16)", "range(1, 16)", by=1),
        Example(
            before="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in T.parallel(16):
        B[i] = A[i]
""",
            after="""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in T.parallel(16):
        if i >= 1:
            B[i] = A[i]
""",
        ),
        _example("T.serial(2, 16, annotations={'hint': 1})", "T.serial(3, 16, annotations={'hint': 1})", by=1),
    ),
)

THREAD_EXTENT = Operator(
    name="tir.thread-extent",
    fault="a launch with one thread or block too few or too many (incorrect loop bounds, Shen et al. 2021)",
    paper=True,
    slots=(Slot.KERNEL,),
    category=Category.KERNEL_STORES,
    description="changes the extent of a loop that is bound to GPU threads or blocks",
    rule=TirRule((tirx.For,), _thread_extent),
    parameters=(Parameter("by", "how many more threads or blocks run", -1, magnitude=STEPS),),
    variants=({"by": -1}, {"by": 1}),
    examples=(
        _example("T.thread_binding(16, thread='threadIdx.x')", "T.thread_binding(15, thread='threadIdx.x')", by=-1),
        _example("T.thread_binding(16, thread='blockIdx.x')", "T.thread_binding(17, thread='blockIdx.x')", by=1),
    ),
    undefined_behaviour=True,
)

OPERATORS = (LOOP_EXTENT, LOOP_START, THREAD_EXTENT)

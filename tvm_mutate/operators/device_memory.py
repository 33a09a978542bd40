"""GPU Kernels: barriers left out or late, shared memory that is not shared, the wrong half of a double buffer."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Op, TensorLoad, prim
from tvm.s_tir import SBlock

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.buffers import buffer_like, with_allocation
from tvm_mutate.operators.tir_nodes import is_thread, literal, loop_with, nothing

_BARRIERS = ("tirx.tvm_storage_sync", "tirx.cuda.cta_sync")
_SHARED = ("shared", "shared.dyn")
_PASSIVE = (tirx.Bind, tirx.AllocBuffer, tirx.DeclBuffer)  # nothing that other threads could see


def _is_barrier(statement: Any) -> bool:
    call = statement.value if isinstance(statement, tirx.Evaluate) else None
    return isinstance(call, Call) and isinstance(call.op, Op) and call.op.name in _BARRIERS


def _drop_barrier(statement: Any, _parameters: Parameters) -> Any | None:
    return nothing() if _is_barrier(statement) else None


def _move_barrier(sequence: Any, parameters: Parameters) -> Any | None:
    statements = list(sequence)
    barriers = [place for place, each in enumerate(statements) if _is_barrier(each)]
    number = int(parameters["barrier"])
    if not 0 <= number < len(barriers):
        return None
    place = barriers[number]
    following = [at for at, each in enumerate(statements) if at > place and not isinstance(each, _PASSIVE)]
    if not following or _is_barrier(statements[following[0]]):
        return None
    after = following[0] + 1
    return tirx.SeqStmt([*statements[:place], *statements[place + 1 : after], statements[place], *statements[after:]])


def _unshare(block: Any, parameters: Parameters) -> Any | None:
    number = int(parameters["buffer"])
    shared = [each for each in block.alloc_buffers if each.ty.storage_scope in _SHARED]
    if not 0 <= number < len(shared):
        return None
    return with_allocation(block, shared[number], buffer_like(shared[number], scope="local"))


def _other_half(loop: Any, _parameters: Parameters) -> Any | None:
    if is_thread(loop):
        return None
    loads = 0

    def on_load(load: Any, mutator: Any) -> Any:
        nonlocal loads
        if load.source.ty.storage_scope not in _SHARED:
            return mutator.default_mutate(load)
        indices = [tvm_ffi.structural_map(index, [(prim.FloorMod, flipped)]) for index in load.indices]
        if tvm_ffi.structural_equal(indices, list(load.indices)):
            return load
        loads += 1
        return tirx.BufferLoad(load.source, indices)

    def flipped(node: Any) -> Any:
        if literal(node.b) != 2 or not _mentions(node.a, loop.loop_var):
            return node
        return prim.FloorMod(node.a + prim.const(1, node.a.ty.dtype), node.b)

    body = tvm_ffi.structural_mutate(loop.body, [(TensorLoad, on_load)])
    return loop_with(loop, body=body) if loads else None


def _mentions(expression: Any, variable: Any) -> bool:
    found: list[Any] = []
    tvm_ffi.structural_walk(expression, [((tirx.Var,), found.append)])
    return any(each.same_as(variable) for each in found)


def _reversed(shared: str, first: str = "", second: str = "", third: str = "") -> str:
    """A kernel that reverses rows of 32 numbers through shared memory."""
    return "\n".join(
        line
        for line in f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((128,), "float32"), B: T.Buffer((128,), "float32")):
    with T.launch_thread("threadIdx.x", 32) as t:
        S = T.alloc_buffer((64,), "float32", scope="shared")
        for i in range(4):
            {first}
            S[i % 2 * 32 + t] = A[i * 32 + t]
            {second}
            B[i * 32 + t] = S[{shared} * 32 + 31 - t]
            {third}
""".splitlines()
        if line.strip()
    )


def _staged(scope: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((64,), "float32")):
    S = T.sblock_alloc_buffer((64,), "float32")
    R = T.sblock_alloc_buffer((64,), "float32", scope="{scope}")
    for i in T.thread_binding(64, thread="threadIdx.x"):
        with T.sblock("stage"):
            vi = T.axis.spatial(64, i)
            R[vi] = A[vi]
    for i in T.thread_binding(64, thread="threadIdx.x"):
        with T.sblock("reverse"):
            vi = T.axis.spatial(64, i)
            B[vi] = R[63 - vi]
"""


_SYNC = 'T.tvm_storage_sync("shared")'

DROP_BARRIER = Operator(
    name="tir.drop-barrier",
    fault="a barrier that ThreadSync takes to be superfluous (concurrency problems, Shen et al. 2021)",
    slots=(Slot.LOWERED, Slot.CODEGEN),
    category=Category.GPU,
    description="leaves a barrier between the threads of a block out",
    rule=TirRule((tirx.Evaluate,), _drop_barrier),
    examples=(
        Example(_reversed("i % 2", second=_SYNC), _reversed("i % 2", second="T.evaluate(0)")),
        Example(
            _reversed("i % 2", first=_SYNC, second=_SYNC),
            _reversed("i % 2", first="T.evaluate(0)", second=_SYNC),
            sites="0",
        ),
    ),
    undefined_behaviour=True,
)

MOVE_BARRIER = Operator(
    name="tir.move-barrier",
    fault="a barrier that is put behind the access that it should protect, as by ThreadSync or a software pipeline "
    "(concurrency problems, Shen et al. 2021)",
    slots=(Slot.LOWERED, Slot.CODEGEN),
    category=Category.GPU,
    description="moves a barrier behind the next statement that does something in its sequence",
    rule=TirRule((tirx.SeqStmt,), _move_barrier),
    parameters=(Parameter("barrier", "which of the barriers of a sequence, from 0", 0),),
    variants=({"barrier": 0}, {"barrier": 1}),
    examples=(
        Example(_reversed("i % 2", second=_SYNC), _reversed("i % 2", third=_SYNC)),
        Example(
            _reversed("i % 2", first=_SYNC, second=_SYNC),
            _reversed("i % 2", first=_SYNC, third=_SYNC),
            {"barrier": 1},
        ),
    ),
    undefined_behaviour=True,
)

CHANGE_SCOPE = Operator(
    name="tir.change-scope",
    fault="a buffer in the wrong kind of memory, as by storage scope inference or a wrong cache_read (memory "
    "problems, Shen et al. 2021)",
    slots=(Slot.KERNEL,),
    category=Category.GPU,
    description="allocates a buffer that the threads of a block share in the local memory of each",
    rule=TirRule((SBlock,), _unshare),
    parameters=(Parameter("buffer", "which of the shared buffers that a block allocates, from 0", 0),),
    variants=({"buffer": 0}, {"buffer": 1}),
    examples=(
        Example(_staged("shared"), _staged("local")),
        Example(_staged("shared.dyn"), _staged("local")),
    ),
    undefined_behaviour=True,
)

DOUBLE_BUFFER_INDEX = Operator(
    name="tir.double-buffer-index",
    fault="the wrong half of a double buffer, as by InjectSoftwarePipeline (incorrect index, Shen et al. 2021)",
    slots=(Slot.LOWERED,),
    category=Category.GPU,
    description="reads the other half of a double buffer in shared memory in all of a loop",
    rule=TirRule((tirx.For,), _other_half),
    examples=(
        Example(_reversed("i % 2"), _reversed("(i + 1) % 2")),
        Example(_reversed("(i + 3) % 2", second=_SYNC), _reversed("(i + 3 + 1) % 2", second=_SYNC)),
    ),
    undefined_behaviour=True,
)

OPERATORS = (DROP_BARRIER, MOVE_BARRIER, CHANGE_SCOPE, DOUBLE_BUFFER_INDEX)

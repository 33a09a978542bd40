"""GPU kernels: barriers, shared memory, double buffers, exchanges within a warp, and atomic updates."""

from __future__ import annotations

from functools import partial
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Op, TensorLoad, Var, prim
from tvm.s_tir import SBlock

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.buffers import reallocated
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.tir_nodes import (
    another_constant,
    constant_like,
    is_thread,
    literal,
    mentions,
    node_with,
    nodes_within,
    nothing,
)

_BARRIERS = ("tirx.tvm_storage_sync", "tirx.cuda.cta_sync")
_SHARED = ("shared", "shared.dyn")
_BUFFERED = {"shared": _SHARED, "warp": ("warp", "local")}
_PASSIVE = (tirx.Bind, tirx.AllocBuffer, tirx.DeclBuffer)  # without effect on other threads
_SHUFFLES = (
    "tirx.tvm_warp_shuffle",
    "tirx.tvm_warp_shuffle_up",
    "tirx.tvm_warp_shuffle_down",
    "tirx.tvm_warp_shuffle_xor",
)
_LANE = 2  # the arguments: mask, value, lane or distance, width, warp size


def _called(call: Any) -> str:
    """The name of the operator that a call calls; empty for other expressions."""
    return str(call.op.name) if isinstance(call, Call) and isinstance(call.op, Op) else ""


def _is_barrier(statement: Any) -> bool:
    return isinstance(statement, tirx.Evaluate) and _called(statement.value) in _BARRIERS


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
    barrier = statements.pop(place)
    statements.insert(following[0], barrier)
    return tirx.SeqStmt(statements)


def _change_scope(block: Any, parameters: Parameters) -> Any | None:
    number = int(parameters["buffer"])
    shared = [each for each in block.alloc_buffers if each.ty.storage_scope in _SHARED]
    if not 0 <= number < len(shared):
        return None
    return reallocated(block, shared[number], scope="local")


def _other_half(loop: Any, parameters: Parameters) -> Any | None:
    if is_thread(loop):
        return None
    of, half = str(parameters["of"]), str(parameters["half"])

    def on_load(load: Any, mutator: Any) -> Any:
        if load.source.ty.storage_scope not in _BUFFERED.get(of, ()):
            return mutator.default_mutate(load)
        indices = [in_half(index) for index in load.indices]
        same = tvm_ffi.structural_equal(indices, list(load.indices))
        return load if same else tirx.BufferLoad(load.source, indices)

    def on_statement(statement: Any, mutator: Any) -> Any:
        call = statement.value
        if not isinstance(call, Call):
            return mutator.default_mutate(statement)
        changed = [each if isinstance(each, TensorLoad) else in_half(each) for each in call.args]
        if tvm_ffi.structural_equal(changed, list(call.args)):
            return statement
        return tirx.Evaluate(Call(call.op, changed, call.attrs, call.ty_args, ret_ty=call.ty))

    def in_half(expression: Any) -> Any:
        return tvm_ffi.structural_map(expression, [(prim.FloorMod, flipped), (Var, unbound)])

    def unbound(variable: Any) -> Any:
        value = bound.get(variable)  # what several indices share is bound to a variable before the loop's statements
        changed = variable if value is None else tvm_ffi.structural_map(value, [(prim.FloorMod, flipped)])
        return variable if value is None or changed.same_as(value) else changed

    def flipped(node: Any) -> Any:
        if literal(node.b) != 2 or not mentions(node.a, loop.loop_var):
            return node
        if half == "first":
            return constant_like(node, 0)
        return prim.FloorMod(node.a + prim.const(1, node.a.ty.dtype), node.b)

    bound = {each.var: each.value for each in nodes_within(loop.body, tirx.Bind)}
    callback = (tirx.Evaluate, on_statement) if of == "argument" else (TensorLoad, on_load)
    body = tvm_ffi.structural_mutate(loop.body, [callback])
    return None if body.same_as(loop.body) else node_with(loop, body=body)


def _shuffle(call: Any, parameters: Parameters) -> Any | None:
    if _called(call) not in _SHUFFLES:
        return None
    lane, by = call.args[_LANE], int(parameters["by"])
    at = literal(lane)
    if at is not None:
        moved = another_constant(lane, at + by) if at + by >= 0 else None
    else:
        moved = None if by == 0 else lane + constant_like(lane, by)
    if moved is None:
        return None
    arguments = [*call.args[:_LANE], moved, *call.args[_LANE + 1 :]]
    return Call(call.op, arguments, call.attrs, call.ty_args, ret_ty=call.ty)


def _plain(statement: Any, _parameters: Parameters) -> Any | None:
    call = statement.value
    if _called(call) == "tirx.cuda.atomic_add":
        address, added = call.args
    elif _called(call) == "tirx.call_extern" and call.args[0].value == "atomicAdd":
        _, address, added = call.args
    else:
        return None
    element = address.args[0] if _called(address) == "tirx.address_of" else None
    if not isinstance(element, TensorLoad):
        return None
    return tirx.BufferStore(element.source, prim.Add(element, added), element.indices)


_SHARED_ROWS = """
    A: (128,), B: (128,)
    with T.launch_thread("threadIdx.x", 32) as t:
        S = T.alloc_buffer((64,), "float32", scope="shared")
        for i in range(4):
            ...
"""
_STAGED = """
    A: (64,), B: (64,)
    S = T.sblock_alloc_buffer((64,), "float32")
    ...
    for i in T.thread_binding(64, thread="threadIdx.x"):
        with T.sblock("stage"):
            vi = T.axis.spatial(64, i)
            R[vi] = A[vi]
    for i in T.thread_binding(64, thread="threadIdx.x"):
        with T.sblock("reverse"):
            vi = T.axis.spatial(64, i)
            B[vi] = R[63 - vi]
"""
_WARP = """
    A: (32,), B: (32,)
    with T.launch_thread("threadIdx.x", 32) as t:
        ...
"""
_HISTOGRAM = """
    A: (64,), B: (4,)
    for t in T.thread_binding(64, thread="threadIdx.x"):
        with T.sblock("count"):
            vt = T.axis.spatial(64, t)
            T.reads(A[vt], B[vt // 16])
            T.writes(B[vt // 16])
            ...
"""
_examples = partial(
    kernel_examples,
    own_templates={"shared-rows": _SHARED_ROWS, "staged": _STAGED, "warp": _WARP, "histogram": _HISTOGRAM},
)
_operator = partial(Operator, slots=(Slot.LOWERED, Slot.CODEGEN), category=Category.GPU, undefined_behaviour=True)

OPERATORS = (
    _operator(
        name="tir.drop-barrier",
        fault="a barrier that ThreadSync takes to be superfluous (concurrency problems, Shen et al. 2021)",
        description="removes a barrier between the threads of a block",
        rule=TirRule((tirx.Evaluate,), _drop_barrier),
        examples=_examples("""
            shared-rows
            S[t] = A[i * 32 + t]; T.tvm_storage_sync("shared"); B[i * 32 + t] = S[31 - t]
            S[t] = A[i * 32 + t]; T.evaluate(0); B[i * 32 + t] = S[31 - t]
            shared-rows | sites=0
            T.tvm_storage_sync("shared"); S[t] = A[i * 32 + t]; T.tvm_storage_sync("shared"); B[i * 32 + t] = S[31 - t]
            T.evaluate(0); S[t] = A[i * 32 + t]; T.tvm_storage_sync("shared"); B[i * 32 + t] = S[31 - t]
        """),
    ),
    _operator(
        name="tir.move-barrier",
        fault="a barrier that is put behind the access that it should protect, as by ThreadSync or a software pipeline "
        "(concurrency problems, Shen et al. 2021)",
        description="moves a barrier behind the next statement of its sequence that has an effect",
        rule=TirRule((tirx.SeqStmt,), _move_barrier),
        parameters=(Parameter("barrier", "which of the barriers of a sequence, from 0", 0),),
        variants=({"barrier": 0}, {"barrier": 1}),
        examples=_examples("""
            shared-rows
            S[t] = A[i * 32 + t]; T.tvm_storage_sync("shared"); B[i * 32 + t] = S[31 - t]
            S[t] = A[i * 32 + t]; B[i * 32 + t] = S[31 - t]; T.tvm_storage_sync("shared")
            shared-rows | barrier=1
            T.tvm_storage_sync("shared"); S[t] = A[i * 32 + t]; T.tvm_storage_sync("shared"); B[i * 32 + t] = S[31 - t]
            T.tvm_storage_sync("shared"); S[t] = A[i * 32 + t]; B[i * 32 + t] = S[31 - t]; T.tvm_storage_sync("shared")
        """),
    ),
    _operator(
        name="tir.change-scope",
        fault="a buffer in the wrong kind of memory, as by storage scope inference or a wrong cache_read (memory "
        "problems, Shen et al. 2021)",
        slots=(Slot.KERNEL,),
        description="allocates a buffer in the local memory of each thread instead of the shared memory of the block",
        rule=TirRule((SBlock,), _change_scope),
        parameters=(Parameter("buffer", "which of the shared buffers that a block allocates, from 0", 0),),
        variants=({"buffer": 0}, {"buffer": 1}),
        examples=_examples("""
            staged
            R = T.sblock_alloc_buffer((64,), "float32", scope="shared")
            R = T.sblock_alloc_buffer((64,), "float32", scope="local")
            staged
            R = T.sblock_alloc_buffer((64,), "float32", scope="shared.dyn")
            R = T.sblock_alloc_buffer((64,), "float32", scope="local")
        """),
    ),
    _operator(
        name="tir.double-buffer-index",
        fault="the wrong half of a double buffer, as by InjectSoftwarePipeline (incorrect index, Shen et al. 2021), or "
        "always the first half, as of the arguments of matrix instructions in apache/tvm#19742",
        slots=(Slot.LOWERED,),
        description="reads another half of a double buffer, everywhere in a loop",
        rule=TirRule((tirx.For,), _other_half),
        parameters=(
            Parameter(
                "of", "loads from memory of this kind, or arguments of calls", "shared", (*_BUFFERED, "argument")
            ),
            Parameter("half", "the half that is read", "other", choices=("other", "first")),
        ),
        more_variants=tuple(
            {"of": of, "half": half}
            for of in (*_BUFFERED, "argument")
            for half in ("other", "first")
            if (of, half) != ("shared", "other")
        ),
        examples=_examples("""
            shared-rows
            S[i % 2 * 32 + t] = A[i * 32 + t]; B[i * 32 + t] = S[i % 2 * 32 + 31 - t]
            S[i % 2 * 32 + t] = A[i * 32 + t]; B[i * 32 + t] = S[(i + 1) % 2 * 32 + 31 - t]
            shared-rows
            S[i % 2 * 32 + t] = A[i * 32 + t]; B[i * 32 + t] = S[(i + 3) % 2 * 32 + 31 - t]
            S[i % 2 * 32 + t] = A[i * 32 + t]; B[i * 32 + t] = S[(i + 3 + 1) % 2 * 32 + 31 - t]
            shared-rows | half=first
            S[i % 2 * 32 + t] = A[i * 32 + t]; B[i * 32 + t] = S[i % 2 * 32 + 31 - t]
            S[i % 2 * 32 + t] = A[i * 32 + t]; B[i * 32 + t] = S[T.Mul(0, 32) + 31 - t]
            shared-rows | of=argument half=first
            T.evaluate(T.call_extern("int32", "use", S.access_ptr("r", offset=i % 2 * 32)))
            T.evaluate(T.call_extern("int32", "use", S.access_ptr("r", offset=T.Mul(0, 32))))
        """),
    ),
    _operator(
        name="tir.shuffle-lane",
        fault="a reduction over a warp that takes its neighbour's value from one lane too far, as by "
        "LowerThreadAllreduce (incorrect index, Shen et al. 2021)",
        slots=(Slot.LOWERED,),
        description="takes a value that the lanes of a warp exchange from another lane, or from another distance",
        rule=TirRule((Call,), _shuffle),
        parameters=(Parameter("by", "how far off the lane or the distance is", 1),),
        variants=({"by": 1},),
        more_variants=({"by": -1},),
        examples=_examples("""
            warp
            B[t] = T.tvm_warp_shuffle_down(T.tvm_warp_activemask(), A[t], 8, 32, 32)
            B[t] = T.tvm_warp_shuffle_down(T.tvm_warp_activemask(), A[t], 9, 32, 32)
            warp | by=-1
            B[t] = T.tvm_warp_shuffle_down(T.tvm_warp_activemask(), A[t], 1, 32, 32)
            B[t] = T.tvm_warp_shuffle_down(T.tvm_warp_activemask(), A[t], 0, 32, 32)
            warp
            B[t] = T.tvm_warp_shuffle(T.tvm_warp_activemask(), A[t], 31 - t, 32, 32)
            B[t] = T.tvm_warp_shuffle(T.tvm_warp_activemask(), A[t], 31 - t + 1, 32, 32)
        """),
    ),
    _operator(
        name="tir.plain-atomic",
        fault="an update of several threads that is lowered to a load and a store (concurrency problems, Shen et al. "
        "2021)",
        slots=(Slot.KERNEL, Slot.LOWERED),
        description="adds to an element by a load and a store instead of an atomic addition",
        rule=TirRule((tirx.Evaluate,), _plain),
        examples=_examples("""
            histogram
            T.evaluate(T.cuda.atomic_add(T.address_of(B[vt // 16]), A[vt]))
            B[vt // 16] = B[vt // 16] + A[vt]
            histogram
            T.evaluate(T.call_extern("float32", "atomicAdd", T.address_of(B[vt // 16]), A[vt]))
            B[vt // 16] = B[vt // 16] + A[vt]
        """),
    ),
)

"""GPU Kernels: values taken from the wrong lane of a warp, and updates of several threads that are not atomic."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.ir import Call, Op, TensorLoad, prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import another_constant, constant_like, literal

_SHUFFLES = (
    "tirx.tvm_warp_shuffle",
    "tirx.tvm_warp_shuffle_up",
    "tirx.tvm_warp_shuffle_down",
    "tirx.tvm_warp_shuffle_xor",
)
_LANE = 2  # mask, value, lane or distance, width, warp size
_ATOMICS = ("tirx.cuda.atomic_add",)
_ADDRESS_OF = "tirx.address_of"
_EXTERN, _EXTERN_ATOMIC = "tirx.call_extern", "atomicAdd"


def _name(call: Any) -> str:
    return str(call.op.name) if isinstance(call, Call) and isinstance(call.op, Op) else ""


def _shuffle(call: Any, parameters: Parameters) -> Any | None:
    if _name(call) not in _SHUFFLES:
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
    if _name(call) in _ATOMICS:
        address, added = call.args
    elif _name(call) == _EXTERN and call.args[0].value == _EXTERN_ATOMIC:
        _, address, added = call.args
    else:
        return None
    element = address.args[0] if _name(address) == _ADDRESS_OF else None
    if not isinstance(element, TensorLoad):
        return None
    return tirx.BufferStore(element.source, prim.Add(element, added), element.indices)


def _warp(lane: str, shuffle: str = "T.tvm_warp_shuffle_down") -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((32,), "float32"), B: T.Buffer((32,), "float32")):
    with T.launch_thread("threadIdx.x", 32) as t:
        B[t] = A[t] + {shuffle}(T.tvm_warp_activemask(), A[t], {lane}, 32, 32)
"""


def _histogram(update: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((4,), "float32")):
    for t in T.thread_binding(64, thread="threadIdx.x"):
        with T.sblock("count"):
            vt = T.axis.spatial(64, t)
            T.reads(A[vt], B[vt // 16])
            T.writes(B[vt // 16])
            {update}
"""


SHUFFLE_LANE = Operator(
    name="tir.shuffle-lane",
    fault="a reduction over a warp that takes its neighbour's value from one lane too far, as by LowerThreadAllreduce "
    "(incorrect index, Shen et al. 2021)",
    slots=(Slot.LOWERED,),
    category=Category.GPU,
    description="takes a value that the lanes of a warp exchange from another lane, or from another distance",
    rule=TirRule((Call,), _shuffle),
    parameters=(Parameter("by", "how far off the lane or the distance is", 1),),
    variants=({"by": 1},),
    more_variants=({"by": -1},),
    examples=(
        Example(_warp("8"), _warp("9")),
        Example(_warp("1"), _warp("0"), {"by": -1}),
        Example(_warp("31 - t", "T.tvm_warp_shuffle"), _warp("31 - t + 1", "T.tvm_warp_shuffle")),
    ),
    undefined_behaviour=True,
)

PLAIN_ATOMIC = Operator(
    name="tir.plain-atomic",
    fault="an update of several threads that is lowered to a load and a store (concurrency problems, Shen et al. 2021)",
    slots=(Slot.KERNEL, Slot.LOWERED),
    category=Category.GPU,
    description="adds to an element by a load and a store where it was added to atomically",
    rule=TirRule((tirx.Evaluate,), _plain),
    examples=(
        Example(
            _histogram("T.evaluate(T.cuda.atomic_add(T.address_of(B[vt // 16]), A[vt]))"),
            _histogram("B[vt // 16] = B[vt // 16] + A[vt]"),
        ),
        Example(
            _histogram('T.evaluate(T.call_extern("float32", "atomicAdd", T.address_of(B[vt // 16]), A[vt]))'),
            _histogram("B[vt // 16] = B[vt // 16] + A[vt]"),
        ),
    ),
    undefined_behaviour=True,
)

OPERATORS = (SHUFFLE_LANE, PLAIN_ATOMIC)

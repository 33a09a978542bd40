"""Code Generation: what code generators get, with other lanes, bits, functions or roundings."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

from tvm import tirx
from tvm.ir import Call, Op, PrimType, StringImm, TensorLoad, prim
from tvm.target import codegen

from tvm_mutate.mutant import Category, Operator, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.parameters import choice, replacement
from tvm_mutate.operators.tir_nodes import constant_like, element_type, literal, storing

_INTRINSIC, _EXTERN = "tirx.call_llvm_pure_intrin", "tirx.call_pure_extern"
_PREFIX, _SUFFIX = "llvm.", "f"
_MULTIPLY_ADD = "fmuladd"
_ROUNDINGS = ("nearbyint", "rint", "round", "trunc", "floor", "ceil")
_TIES_TO_EVEN = ("nearbyint", "rint")


def _function(call: Any) -> str:
    """The mathematical function that a call names, without a target's prefix or suffix; empty for other calls."""
    name = call.op.name if isinstance(call.op, Op) else ""
    if name == _INTRINSIC and isinstance(call.args[0], prim.IntImm):
        full = str(codegen.llvm_get_intrinsic_name(call.args[0].value))
        return full.removeprefix(_PREFIX) if full.startswith(_PREFIX) else ""
    if name == _EXTERN and isinstance(call.args[0], StringImm):
        return str(call.args[0].value).removesuffix(_SUFFIX)
    return ""


def _renamed(call: Any, function: str) -> Any | None:
    """The call of another function, named as in the original call; None if LLVM has no such intrinsic."""
    before = call.args[0]
    if isinstance(before, StringImm):
        named: Any = StringImm(function + (_SUFFIX if before.value.endswith(_SUFFIX) else ""))
    else:
        number = codegen.llvm_lookup_intrinsic_id(_PREFIX + function)
        if not number:
            return None
        named = prim.const(number, before.ty.dtype)
    return Call(call.op, [named, *call.args[1:]], call.attrs, call.ty_args, ret_ty=call.ty)


def _multiply_add(call: Any, parameters: Parameters) -> Any | None:
    if _function(call) != _MULTIPLY_ADD or call.op.name != _INTRINSIC:
        return None
    if parameters["to"] == "fused":
        return _renamed(call, "fma")
    a, b, c = call.args[1:]
    return prim.Add(prim.Mul(a, b), c)


def _replace_function(call: Any, parameters: Parameters) -> Any | None:
    before, after = str(parameters["from"]), str(parameters["to"])
    return _renamed(call, after) if _function(call) == before != after else None


def _replace_rounding(call: Any, parameters: Parameters) -> Any | None:
    before, after = _function(call), str(parameters["to"])
    same = before == after or (before in _TIES_TO_EVEN and after in _TIES_TO_EVEN)
    return None if before not in _ROUNDINGS or same else _renamed(call, after)


def _other_lanes(ramp: Any, parameters: Parameters) -> Any | None:
    if literal(ramp.stride) != 1:
        return None
    if parameters["to"] == "reversed":
        last = ramp.base + constant_like(ramp.base, int(ramp.lanes) - 1)
        return prim.Ramp(last, constant_like(ramp.stride, -1), ramp.lanes)
    return prim.Ramp(ramp.base, constant_like(ramp.stride, 2), ramp.lanes)


def _keep_bits(cast: Any, _parameters: Parameters) -> Any | None:
    before, after = element_type(cast.value), element_type(cast)
    if before is None or before.bits != after.bits or before.is_float == after.is_float or before.is_bool:
        return None
    return Call(Op.get("tirx.reinterpret"), [cast.value], ret_ty=cast.ty)


def _pack_lanes(node: Any, parameters: Parameters) -> Any | None:
    kind, field, rewrite = _PACKINGS[str(parameters["how"])]
    if not isinstance(node, kind):
        return None
    vector = getattr(node, field) if field else node
    vector = vector[0] if field == "vectors" else vector
    lanes = vector.ty.dtype.lanes
    return rewrite(node, vector, lanes) if 1 < lanes <= _MOST_LANES else None


def _all_lanes_as_one(cast: Any, vector: Any, lanes: int) -> Any | None:
    wide = _wide_integer(element_type(vector), lanes)
    if wide is None:
        return None
    packed = Call(Op.get("tirx.reinterpret"), [vector], ret_ty=PrimType(wide))
    return prim.Broadcast(prim.Cast(str(element_type(cast)), packed), lanes)


def _unmasked(store: Any, vector: Any, lanes: int) -> Any | None:
    dtype = element_type(vector)
    wide = _wide_integer(dtype, lanes)
    if wide is None or not str(dtype).startswith("int"):
        return None
    shifted = [prim.Cast(wide, _lane(vector, lane)) << prim.const(lane * dtype.bits, wide) for lane in range(lanes)]
    return storing(store, Call(Op.get("tirx.reinterpret"), [reduce(operator.or_, shifted)], ret_ty=vector.ty))


def _next_lane(shuffle: Any, vector: Any, lanes: int) -> Any | None:
    if len(shuffle.vectors) > 1 or len(shuffle.indices) > 1:
        return None
    (index,) = shuffle.indices
    at, one = literal(index), constant_like(index, 1)
    following = constant_like(index, (int(at) + 1) % lanes) if at is not None else (index + one) % lanes
    return prim.Shuffle([vector], [following])


def _lane(vector: Any, number: int) -> Any:
    return prim.Shuffle([vector], [prim.const(number, "int32")])


def _wide_integer(dtype: Any, lanes: int) -> str | None:
    """The integer type that has the bits of all lanes; None if there is none, or if the lanes are no integers."""
    bits = dtype.bits * lanes
    return f"int{bits}" if dtype.is_integer and dtype.bits > 1 and bits in (16, 32, 64) else None


_MOST_LANES = 16
# What is a site, where its vector is, and what takes its place.
_PACKINGS: dict[str, tuple[Any, str, Callable[[Any, Any, int], Any | None]]] = {
    "last": (TensorLoad, "", lambda _load, vector, lanes: prim.Broadcast(_lane(vector, lanes - 1), lanes)),
    "integer": (prim.Cast, "value", _all_lanes_as_one),
    "unmasked": (tirx.BufferStore, "value", _unmasked),
    "next": (prim.Shuffle, "vectors", _next_lane),
}
_examples = partial(
    kernel_examples,
    own_templates={
        "vector": """
            A: (16,), B: (16,)
            for i in range(4):
                ...
        """,
        "bytes": """
            A: (8,) int8, B: (8,)
            for i in range(4):
                ...
        """,
        "packed-bytes": """
            A: (8,) int8, B: (8,) int8
            for i in range(4):
                ...
        """,
        "conversion": """
            A: (16,) int32, B: (16,)
            for i in range(16):
                ...
        """,
    },
)
_operator = partial(Operator, slots=(Slot.CODEGEN,), category=Category.CODE_GENERATION, by_default=False)

OPERATORS = (
    _operator(
        # Not by default: each of the two results is correct on some processor, and few labels depend on the difference.
        name="codegen.multiply-add",
        fault="a multiply-add that is rounded once on one device and twice on another (contraction; differing "
        "floating-point results between targets, Shen et al. 2021)",
        description="rounds a multiply-add once on all processors, or always twice, where TVM leaves the choice to "
        "LLVM",
        rule=TirRule((Call,), _multiply_add),
        **choice("to", "how it is computed", "fused separate"),
        examples=_examples("""
            map | to=fused
            B[i] = T.call_llvm_pure_intrin("float32", "llvm.fmuladd", A[i], A[0], A[1])
            B[i] = T.call_llvm_pure_intrin("float32", "llvm.fma", A[i], A[0], A[1])
            map | to=separate
            B[i] = T.call_llvm_pure_intrin("float32", "llvm.fmuladd", A[i], A[0], A[1])
            B[i] = A[i] * A[0] + A[1]
        """),
    ),
    _operator(
        name="codegen.replace-function",
        fault="a function of the wrong name in a rule that lowers intrinsics for one target (wrong operator mapping, "
        "Shen et al. 2021; TVM's intrin_rule_llvm.cc and intrin_rule_cuda.cc)",
        description="calls another mathematical function of LLVM or of a library than the intended function",
        rule=TirRule((Call,), _replace_function),
        **replacement(
            "function",
            "exp>exp2 sqrt>fabs log>log2 sin>cos",
            more="exp2>exp log2>log log>log10 log10>log cos>sin fabs>sqrt tanh>sin erf>tanh",
        ),
        examples=_examples("""
            map | from=exp to=exp2
            B[i] = T.call_llvm_pure_intrin("float32", "llvm.exp", A[i]) + A[0]
            B[i] = T.call_llvm_pure_intrin("float32", "llvm.exp2", A[i]) + A[0]
            map | from=sqrt to=fabs
            B[i] = T.call_pure_extern("float32", "sqrtf", A[i])
            B[i] = T.call_pure_extern("float32", "fabsf", A[i])
            map | from=sin to=cos
            B[i] = T.call_pure_extern("float32", "sin", A[i])
            B[i] = T.call_pure_extern("float32", "cos", A[i])
        """),
    ),
    _operator(
        name="codegen.replace-rounding",
        fault="a rounding to an integer that treats ties or signs otherwise than the model's format says, as round, "
        "rint and nearbyint are confused (numeric precision, Shen et al. 2021)",
        description="rounds to an integer in another direction, or rounds ties away from zero instead of to the even "
        "number",
        rule=TirRule((Call,), _replace_rounding),
        **choice("to", "the rounding that takes its place", "round trunc", "floor ceil nearbyint rint"),
        examples=_examples("""
            map | to=round
            B[i] = T.call_llvm_pure_intrin("float32", "llvm.nearbyint", A[i])
            B[i] = T.call_llvm_pure_intrin("float32", "llvm.round", A[i])
            map | to=trunc
            B[i] = T.call_pure_extern("float32", "nearbyintf", A[i])
            B[i] = T.call_pure_extern("float32", "truncf", A[i])
        """),
    ),
    _operator(
        name="codegen.vector-lanes",
        fault="a vector access that takes its elements in another order or from farther apart (incorrect index, Shen "
        "et al. 2021; VectorizeLoop, and the vector accesses of TVM's code generators)",
        description="accesses every second element with a vector, or the elements backwards, instead of neighbouring "
        "elements",
        rule=TirRule((prim.Ramp,), _other_lanes),
        **choice("to", "which elements take the place", "reversed spread"),
        examples=_examples("""
            vector | to=reversed sites=0
            B[T.Ramp(i * 4, 1, 4)] = A[T.Ramp(i * 4, 1, 4)] + A[T.Ramp(0, 2, 4)]
            B[T.Ramp(i * 4, 1, 4)] = A[T.Ramp(i * 4 + 3, -1, 4)] + A[T.Ramp(0, 2, 4)]
            vector | to=spread sites=0
            B[T.Ramp(i * 4, 1, 4)] = A[T.Ramp(i * 4, 1, 4)] + A[T.Ramp(0, 2, 4)]
            B[T.Ramp(i * 4, 1, 4)] = A[T.Ramp(i * 4, 2, 4)] + A[T.Ramp(0, 2, 4)]
        """),
        undefined_behaviour=True,  # elements farther apart may lie behind the buffer
    ),
    _operator(
        name="codegen.pack-lanes",
        fault="the lanes of a short vector taken as one integer (apache/tvm#14962), packed into an integer without a "
        "mask, so that the bits of a sign spill (apache/tvm#18398), or with a wrong number (apache/tvm#17030)",
        slots=(Slot.LOWERED, Slot.CODEGEN),
        description="gives all lanes of a loaded vector the value of the last lane, converts a vector as one wide "
        "integer, packs the lanes of a stored vector without a mask, or takes an element from the next lane",
        rule=TirRule((TensorLoad, prim.Cast, prim.Shuffle, tirx.BufferStore), _pack_lanes),
        **choice("how", "what becomes of the lanes", " ".join(_PACKINGS)),
        examples=_examples("""
            vector | how=last sites=0
            B[T.Ramp(i * 4, 1, 4)] = A[T.Ramp(i * 4, 1, 4)] + A[T.Ramp(0, 2, 4)]
            B[T.Ramp(i * 4, 1, 4)] = T.Broadcast(T.Shuffle([A[T.Ramp(i * 4, 1, 4)]], [3]), 4) + A[T.Ramp(0, 2, 4)]
            bytes | how=integer
            B[T.Ramp(i * 2, 1, 2)] = T.Cast("float32x2", A[T.Ramp(i * 2, 1, 2)])
            B[T.Ramp(i * 2, 1, 2)] = T.Broadcast(T.Cast("float32", T.reinterpret("int16", A[T.Ramp(i * 2, 1, 2)])), 2)
            vector | how=next
            B[i] = T.Shuffle([A[T.Ramp(i * 4, 1, 4)]], [3])
            B[i] = T.Shuffle([A[T.Ramp(i * 4, 1, 4)]], [0])
            packed-bytes | how=unmasked
            B[T.Ramp(i * 2, 1, 2)] = A[T.Ramp(i * 2, 1, 2)]
            B[T.Ramp(i * 2, 1, 2)] = T.reinterpret("int8x2", T.bitwise_or( \
            T.shift_left(T.Cast("int16", T.Shuffle([A[T.Ramp(i * 2, 1, 2)]], [0])), T.int16(0)), \
            T.shift_left(T.Cast("int16", T.Shuffle([A[T.Ramp(i * 2, 1, 2)]], [1])), T.int16(8))))
        """),
    ),
    _operator(
        name="codegen.keep-bits",
        fault="a conversion between integers and floats generated as one that keeps the bits (incorrect type "
        "conversion, Shen et al. 2021)",
        description="reinterprets the bits of an integer as a float of the same width, or the reverse, instead of "
        "converting the value",
        rule=TirRule((prim.Cast,), _keep_bits),
        examples=_examples("""
            conversion
            B[i] = T.Cast("float32", A[i])
            B[i] = T.reinterpret("float32", A[i])
        """),
        undefined_behaviour=True,  # the value may be an index
    ),
)

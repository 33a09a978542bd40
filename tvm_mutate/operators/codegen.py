"""Code Generation: what code generators get, with other lanes, bits, functions or roundings."""

from __future__ import annotations

from functools import partial
from typing import Any

from tvm.ir import Call, Op, StringImm, prim
from tvm.target import codegen

from tvm_mutate.mutant import Category, Operator, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.parameters import choice, replacement
from tvm_mutate.operators.tir_nodes import constant_like, element_type, literal

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


_examples = partial(
    kernel_examples,
    own_templates={
        "vector": """
            A: (16,), B: (16,)
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

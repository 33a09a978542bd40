"""Code Generation: what code generators are told by name at their door, be it LLVM's or a library's."""

from __future__ import annotations

from typing import Any

from tvm.ir import Call, Op, StringImm, prim
from tvm.target import codegen

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.parameters import replacing

_INTRINSIC, _EXTERN = "tirx.call_llvm_pure_intrin", "tirx.call_pure_extern"
_PREFIX, _SUFFIX = "llvm.", "f"
_MULTIPLY_ADD = "fmuladd"
_ROUNDINGS = ("nearbyint", "rint", "round", "trunc", "floor", "ceil")
_TIES_TO_EVEN = ("nearbyint", "rint")
_FUNCTIONS = (("exp", "exp2"), ("sqrt", "fabs"), ("log", "log2"), ("sin", "cos"))
_OTHER_FUNCTIONS = (
    ("exp2", "exp"),
    ("log2", "log"),
    ("log", "log10"),
    ("log10", "log"),
    ("cos", "sin"),
    ("fabs", "sqrt"),
    ("tanh", "sin"),
    ("erf", "tanh"),
)
_ALL_FUNCTIONS = _FUNCTIONS + _OTHER_FUNCTIONS


def _function(call: Any) -> str:
    """The mathematical function that a call names, without what a target adds to its name; empty for other calls."""
    name = call.op.name if isinstance(call.op, Op) else ""
    if name == _INTRINSIC and isinstance(call.args[0], prim.IntImm):
        full = str(codegen.llvm_get_intrinsic_name(call.args[0].value))
        return full.removeprefix(_PREFIX) if full.startswith(_PREFIX) else ""
    if name == _EXTERN and isinstance(call.args[0], StringImm):
        return str(call.args[0].value).removesuffix(_SUFFIX)
    return ""


def _renamed(call: Any, function: str) -> Any | None:
    """The call with another function in its place, named as its target names it."""
    before = call.args[0]
    if isinstance(before, StringImm):
        named: Any = StringImm(function + (_SUFFIX if before.value.endswith(_SUFFIX) else ""))
    else:
        number = codegen.llvm_lookup_intrinsic_id(_PREFIX + function)
        if not number:
            return None
        named = prim.const(number, before.ty.dtype)
    return Call(call.op, [named, *call.args[1:]], call.attrs, call.ty_args, ret_ty=call.ty)


def _replace_function(call: Any, parameters: Parameters) -> Any | None:
    before, after = str(parameters["from"]), str(parameters["to"])
    return _renamed(call, after) if _function(call) == before != after else None


def _replace_rounding(call: Any, parameters: Parameters) -> Any | None:
    before, after = _function(call), str(parameters["to"])
    same = before == after or (before in _TIES_TO_EVEN and after in _TIES_TO_EVEN)
    return None if before not in _ROUNDINGS or same else _renamed(call, after)


def _multiply_add(call: Any, parameters: Parameters) -> Any | None:
    if _function(call) != _MULTIPLY_ADD or call.op.name != _INTRINSIC:
        return None
    if parameters["to"] == "fused":
        return _renamed(call, "fma")
    a, b, c = call.args[1:]
    return prim.Add(prim.Mul(a, b), c)


def _kernel(value: str) -> str:
    return f"""
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = {value}
"""


def _llvm(name: str, *arguments: str) -> str:
    return f'T.call_llvm_pure_intrin("float32", "llvm.{name}", {", ".join(arguments or ("A[i]",))})'


def _extern(name: str) -> str:
    return f'T.call_pure_extern("float32", "{name}", A[i])'


_MULTIPLIED = ("A[i]", "A[0]", "A[1]")

MULTIPLY_ADD = Operator(
    name="codegen.multiply-add",
    fault="a multiply-add that is rounded once on one device and twice on another (contraction; differing "
    "floating-point results between targets, Shen et al. 2021)",
    slots=(Slot.CODEGEN,),
    category=Category.CODE_GENERATION,
    description="rounds a multiply-add once on all processors, or always twice, where TVM leaves it to LLVM",
    rule=TirRule((Call,), _multiply_add),
    parameters=(Parameter("to", "how it is computed", choices=("fused", "separate")),),
    variants=({"to": "fused"}, {"to": "separate"}),
    examples=(
        Example(_kernel(_llvm("fmuladd", *_MULTIPLIED)), _kernel(_llvm("fma", *_MULTIPLIED)), {"to": "fused"}),
        Example(_kernel(_llvm("fmuladd", *_MULTIPLIED)), _kernel("A[i] * A[0] + A[1]"), {"to": "separate"}),
    ),
    # Either is what some processor does, and the labels of few images depend on it.
    by_default=False,
)

REPLACE_FUNCTION = Operator(
    name="codegen.replace-function",
    fault="a function of the wrong name in a rule that lowers intrinsics for one target (wrong operator mapping, Shen "
    "et al. 2021; TVM's intrin_rule_llvm.cc and intrin_rule_cuda.cc)",
    slots=(Slot.CODEGEN,),
    category=Category.CODE_GENERATION,
    description="has another mathematical function called than was meant, of LLVM's or of a library's",
    rule=TirRule((Call,), _replace_function),
    parameters=(
        Parameter("from", "the function that is meant", choices=tuple(dict.fromkeys(a for a, _ in _ALL_FUNCTIONS))),
        Parameter("to", "the function that is called", choices=tuple(dict.fromkeys(b for _, b in _ALL_FUNCTIONS))),
    ),
    variants=replacing(_FUNCTIONS),
    more_variants=replacing(_OTHER_FUNCTIONS),
    examples=(
        Example(_kernel(f"{_llvm('exp')} + A[0]"), _kernel(f"{_llvm('exp2')} + A[0]"), {"from": "exp", "to": "exp2"}),
        Example(_kernel(_extern("sqrtf")), _kernel(_extern("fabsf")), {"from": "sqrt", "to": "fabs"}),
        Example(_kernel(_extern("sin")), _kernel(_extern("cos")), {"from": "sin", "to": "cos"}),
    ),
    by_default=False,
)

REPLACE_ROUNDING = Operator(
    name="codegen.replace-rounding",
    fault="a rounding to an integer that treats ties or signs otherwise than the model's format says, as round, rint "
    "and nearbyint are confused (numeric precision, Shen et al. 2021)",
    slots=(Slot.CODEGEN,),
    category=Category.CODE_GENERATION,
    description="rounds to an integer in another direction, or ties away from zero that went to the even number",
    rule=TirRule((Call,), _replace_rounding),
    parameters=(Parameter("to", "the rounding that takes its place", choices=_ROUNDINGS),),
    variants=({"to": "round"}, {"to": "trunc"}),
    more_variants=({"to": "floor"}, {"to": "ceil"}, {"to": "nearbyint"}, {"to": "rint"}),
    examples=(
        Example(_kernel(_llvm("nearbyint")), _kernel(_llvm("round")), {"to": "round"}),
        Example(_kernel(_extern("nearbyintf")), _kernel(_extern("truncf")), {"to": "trunc"}),
    ),
    by_default=False,
)

OPERATORS = (MULTIPLY_ADD, REPLACE_FUNCTION, REPLACE_ROUNDING)

"""Kernel Expressions: mathematical functions replaced by their neighbours."""

from __future__ import annotations

from typing import Any

from tvm.ir import Call, Op

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import constant_like

_NAMESPACES = {"ceil": "prim", "log2": "prim"}
# As powers these are known to every code generator.
_BASES = {"exp2": 2.0, "exp10": 10.0}
_DEFAULT_PAIRS = (
    ("exp", "exp2"),
    ("sqrt", "rsqrt"),
    ("rsqrt", "sqrt"),
    ("sigmoid", "tanh"),
    ("tanh", "sigmoid"),
    ("erf", "tanh"),
)
_OTHER_PAIRS = (
    ("exp2", "exp"),
    ("exp", "exp10"),
    ("erf", "sigmoid"),
    ("log", "log2"),
    ("log2", "log"),
    ("log", "log1p"),
    ("log1p", "log"),
    ("floor", "ceil"),
    ("ceil", "floor"),
    ("round", "trunc"),
    ("trunc", "round"),
    ("sin", "cos"),
    ("cos", "sin"),
)
_PAIRS = _DEFAULT_PAIRS + _OTHER_PAIRS


def _replace(call: Any, parameters: Parameters) -> Any | None:
    before, after = str(parameters["from"]), str(parameters["to"])
    if before == after or getattr(call.op, "name", None) != _op_name(before):
        return None
    arguments, function = list(call.args), after
    if after in _BASES:
        arguments, function = [constant_like(call, _BASES[after]), *arguments], "pow"
    return Call(Op.get(_op_name(function)), arguments, call.attrs, call.ty_args, ret_ty=call.ty)


def _op_name(function: str) -> str:
    return f"{_NAMESPACES.get(function, 'tirx')}.{function}"


_SCRIPT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = {}
"""

REPLACE_INTRINSIC = Operator(
    name="tir.replace-intrinsic",
    fault="a function of the wrong name in a rule that lowers intrinsics (wrong operator mapping, Shen et al. 2021; "
    "TVM's src/target/*/intrin_rule_*.cc)",
    # Code generators get them as calls of libraries and of LLVM's own intrinsics.
    slots=(Slot.KERNEL, Slot.LOWERED),
    category=Category.EXPRESSIONS,
    description="replaces a mathematical function in a kernel by one that is easily mistaken for it, such as exp by "
    "exp2 or sqrt by rsqrt",
    rule=TirRule((Call,), _replace),
    parameters=(
        Parameter("from", "the function that is replaced", choices=tuple(dict.fromkeys(a for a, _ in _PAIRS))),
        Parameter("to", "the function that takes its place", choices=tuple(dict.fromkeys(b for _, b in _PAIRS))),
    ),
    variants=tuple({"from": before, "to": after} for before, after in _DEFAULT_PAIRS),
    more_variants=tuple({"from": before, "to": after} for before, after in _OTHER_PAIRS),
    examples=(
        Example(
            _SCRIPT.format("T.exp(A[i]) / T.sqrt(A[0])"),
            _SCRIPT.format("T.pow(T.float32(2), A[i]) / T.sqrt(A[0])"),
            {"from": "exp", "to": "exp2"},
        ),
        Example(
            _SCRIPT.format("A[i] / T.sqrt(A[0])"),
            _SCRIPT.format("A[i] / T.rsqrt(A[0])"),
            {"from": "sqrt", "to": "rsqrt"},
        ),
        Example(
            _SCRIPT.format("A[i] * T.sigmoid(A[i])"),
            _SCRIPT.format("A[i] * T.tanh(A[i])"),
            {"from": "sigmoid", "to": "tanh"},
        ),
    ),
)

OPERATORS = (REPLACE_INTRINSIC,)

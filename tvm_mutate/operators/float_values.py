"""Kernel Expressions: floating-point arithmetic replaced, and loaded values negated."""

from __future__ import annotations

from typing import Any

from tvm.ir import TensorLoad, prim

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.parameters import replacing, replacing_others
from tvm_mutate.operators.tir_nodes import constant_like, element_type, literal

_SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)
_ARITHMETIC: dict[str, Any] = {"add": prim.Add, "subtract": prim.Sub, "multiply": prim.Mul, "divide": prim.Div}
_NAMES = tuple(_ARITHMETIC)
# Sums, products and what a batch normalisation does: the rest is not found in kernels, or overflows at once.
_DEFAULT_PAIRS = (("add", "subtract"), ("multiply", "add"), ("subtract", "add"), ("divide", "multiply"))


def _is_float(expression: Any) -> bool:
    dtype = element_type(expression)
    return dtype is not None and dtype.is_float


def _replace(node: Any, parameters: Parameters) -> Any | None:
    before, after = (_ARITHMETIC[str(parameters[name])] for name in ("from", "to"))
    if before is after or not isinstance(node, before) or not _is_float(node):
        return None
    return after(node.a, node.b)


def _negate(node: Any, parameters: Parameters) -> Any | None:
    if not _is_float(node):
        return None
    if isinstance(node, TensorLoad):
        return prim.Mul(node, constant_like(node, -1.0)) if parameters["sign"] == "insert" else None
    return _without_sign(node) if parameters["sign"] == "drop" else None


def _without_sign(node: Any) -> Any | None:
    """What a product with -1, or a difference from 0, is the negative of: so minus signs are written in TIR."""
    if isinstance(node, prim.Mul):
        return node.a if literal(node.b) == -1 else node.b if literal(node.a) == -1 else None
    return node.b if literal(node.a) == 0 else None


_SCRIPT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        B[i] = {}
"""
_DOT_PRODUCT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 8), "float32"), W: T.Buffer((8,), "float32"), B: T.Buffer((16,), "float32")):
    for i, k in T.grid(16, 8):
        with T.sblock("dot"):
            vi, vk = T.axis.remap("SR", [i, k])
            with T.init():
                B[vi] = T.float32(0)
            B[vi] = B[vi] {} A[vi, vk] {} W[vk]
"""

REPLACE_FLOAT_ARITHMETIC = Operator(
    name="tir.replace-float-arithmetic",
    fault="a wrong operator in a lowered expression, as from a wrong rewrite rule (incorrect code logic, Shen et "
    "al. 2021; rules in TVM's src/arith/rewrite_simplify.cc)",
    slots=_SLOTS,
    category=Category.EXPRESSIONS,
    description="replaces a floating-point addition, subtraction, multiplication or division in a kernel by "
    "another of these",
    rule=TirRule(tuple(_ARITHMETIC.values()), _replace),
    parameters=(
        Parameter("from", "the operation that is replaced", choices=_NAMES),
        Parameter("to", "the operation that takes its place", choices=_NAMES),
    ),
    variants=replacing(_DEFAULT_PAIRS),
    more_variants=replacing_others(_NAMES, _DEFAULT_PAIRS),
    examples=(
        Example(_DOT_PRODUCT.format("+", "*"), _DOT_PRODUCT.format("-", "*"), {"from": "add", "to": "subtract"}),
        Example(
            _DOT_PRODUCT.format("+", "*"),
            _DOT_PRODUCT.format("+", "+ ").replace("A[vi, vk] +  W[vk]", "(A[vi, vk] + W[vk])"),
            {"from": "multiply", "to": "add"},
        ),
        Example(
            _SCRIPT.format("A[i] / T.float32(9) - A[0]"),
            _SCRIPT.format("A[i] * T.float32(9) - A[0]"),
            {"from": "divide", "to": "multiply"},
        ),
    ),
)

NEGATE_VALUE = Operator(
    name="tir.negate-value",
    fault="a sign that is lost or added when an expression is rewritten (incorrect code logic, Shen et al. 2021; "
    "rules in TVM's src/arith/rewrite_simplify.cc)",
    slots=_SLOTS,
    category=Category.EXPRESSIONS,
    description="negates a floating-point value that is loaded, or drops a minus sign: a product with -1 or a "
    "difference from 0",
    rule=TirRule((TensorLoad, prim.Mul, prim.Sub), _negate),
    parameters=(Parameter("sign", "whether a minus sign is added or dropped", "insert", choices=("insert", "drop")),),
    variants=({"sign": "insert"},),
    more_variants=({"sign": "drop"},),
    examples=(
        Example(_SCRIPT.format("A[i] + T.float32(1)"), _SCRIPT.format("-A[i] + T.float32(1)")),
        Example(
            _SCRIPT.format("T.exp(T.float32(0) - A[i])"),
            _SCRIPT.format("T.exp(A[i])"),
            {"sign": "drop"},
        ),
        Example(_SCRIPT.format("T.exp(-A[i])"), _SCRIPT.format("T.exp(A[i])"), {"sign": "drop"}),
    ),
)

OPERATORS = (REPLACE_FLOAT_ARITHMETIC, NEGATE_VALUE)

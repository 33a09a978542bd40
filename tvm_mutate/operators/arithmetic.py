"""Kernel Expressions: arithmetic, signs, constants, mathematical functions, types, extrema and integer divisions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Op, TensorLoad, prim

from tvm_mutate.mutant import Category, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.examples import kernel_examples
from tvm_mutate.operators.parameters import FACTORS, choice, replacement
from tvm_mutate.operators.tir_nodes import (
    NARROW_TYPES,
    another_constant,
    cast_through,
    constant_like,
    element_type,
    literal,
    storing,
    with_node,
)

_ARITHMETIC: dict[str, Any] = {"add": prim.Add, "subtract": prim.Sub, "multiply": prim.Mul, "divide": prim.Div}
_CHANGES: dict[str, Callable[[float], float]] = {
    "increment": lambda value: value + 1,
    "decrement": lambda value: value - 1,
    "negate": lambda value: -value,
    "zero": lambda _value: 0.0,
}
_TERMS: dict[str, tuple[type, ...]] = {"sum": (prim.Add,), "product": (prim.Mul,), "extremum": (prim.Max, prim.Min)}
_OPERANDS = ("right", "left")
# The parts of a stored value in which constants are numbers: not indices and not conditions.
_BINARY = (prim.Add, prim.Sub, prim.Mul, prim.Div, prim.Mod, prim.FloorDiv, prim.FloorMod, prim.Max, prim.Min)
_CHILDREN: dict[type, tuple[str, ...]] = {
    **dict.fromkeys(_BINARY, ("a", "b")),
    **dict.fromkeys((prim.Cast, prim.Broadcast), ("value",)),
    prim.Select: ("true_value", "false_value"),
}
# Pairs of operations, the inner one last, that lose nothing only in exact arithmetic.
_INVERSE: dict[str, tuple[tuple[Any, Any], ...]] = {
    "factor": ((prim.Mul, prim.FloorDiv), (prim.Mul, prim.Div), (prim.FloorDiv, prim.Mul), (prim.Div, prim.Mul)),
    "summand": ((prim.Sub, prim.Add), (prim.Add, prim.Sub)),
}
_BASES = {"exp2": 2.0, "exp10": 10.0}  # not every code generator knows the functions; all know powers
_EXTREMA = {"max": (prim.Max, prim.Min), "min": (prim.Min, prim.Max)}
_TRUNCATED = {prim.FloorDiv: prim.Div, prim.FloorMod: prim.Mod}
_DIVISIONS = {"floor": _TRUNCATED, "truncated": {after: before for before, after in _TRUNCATED.items()}}


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
    """The negated operand of x * -1, -1 * x or 0 - x, which is how TIR expresses a minus sign; None for others."""
    if isinstance(node, prim.Mul):
        return node.a if literal(node.b) == -1 else node.b if literal(node.a) == -1 else None
    return node.b if literal(node.a) == 0 else None


def _perturb(node: Any, parameters: Parameters) -> Any | None:
    if type(node) is tirx.BufferStore:
        return storing(node, _with_integer(node.value, parameters)) if parameters["of"] == "integer" else None
    return another_constant(node, _changed(float(node.value), parameters)) if parameters["of"] == "float" else None


def _changed(value: float, parameters: Parameters) -> float:
    change = str(parameters["change"])
    return value * float(parameters["factor"]) if change == "scale" else _CHANGES[change](value)


def _with_integer(value: Any, parameters: Parameters) -> Any | None:
    """The value with its first integer constant changed that is not part of an index or a condition."""
    kind = type(value)
    if kind is prim.IntImm and element_type(value).is_integer:
        return another_constant(value, round(_changed(value.value, parameters)))
    shifts = kind is Call and str(getattr(value.op, "name", "")).startswith("tirx.shift")
    for child in value.args if shifts else (getattr(value, name) for name in _CHILDREN.get(kind, ())):
        changed = _with_integer(child, parameters)
        if changed is not None:
            return with_node(value, child, changed)
    return None


def _drop_term(node: Any, parameters: Parameters) -> Any | None:
    of = str(parameters["of"])
    if type(node) not in _TERMS[of]:
        return None
    dtype = element_type(node)
    if not (dtype.is_float or (of == "extremum" and dtype.is_integer)):
        return None
    return node.b if parameters["operand"] == "left" else node.a


def _drop_inverse(outer: Any, parameters: Parameters) -> Any | None:
    if parameters["of"] == "cast":
        inner: Any = outer.value if isinstance(outer, prim.Cast) else None
        through = isinstance(inner, prim.Cast) and element_type(inner.value) == element_type(outer)
        return inner.value if through and _loses(element_type(outer), element_type(inner)) else None
    for kind, first in _INVERSE[str(parameters["of"])]:
        if type(outer) is kind and type(outer.a) is first and tvm_ffi.structural_equal(outer.b, outer.a.b):
            return outer.a.a
    return None


def _loses(dtype: Any, through: Any) -> bool:
    """Whether a value of a type changes on its way through another type."""
    return through.bits < dtype.bits or (dtype.is_float and not through.is_float)


def _replace_function(call: Any, parameters: Parameters) -> Any | None:
    before, after = str(parameters["from"]), str(parameters["to"])
    if before == after or getattr(call.op, "name", None) != _op_name(before):
        return None
    arguments, function = list(call.args), after
    if after in _BASES:
        arguments, function = [constant_like(call, _BASES[after]), *arguments], "pow"
    return Call(Op.get(_op_name(function)), arguments, call.attrs, call.ty_args, ret_ty=call.ty)


def _op_name(function: str) -> str:
    return f"{'prim' if function in ('ceil', 'log2') else 'tirx'}.{function}"


def _narrow(value: Any, parameters: Parameters) -> Any | None:
    return cast_through(value, str(parameters["type"])) if element_type(value) == "float32" else None


def _swap_extremum(node: Any, parameters: Parameters) -> Any | None:
    before, after = _EXTREMA[str(parameters["from"])]
    return after(node.a, node.b) if isinstance(node, before) and _is_float(node) else None


def _swap_division(node: Any, parameters: Parameters) -> Any | None:
    other = _DIVISIONS[str(parameters["from"])].get(type(node))
    if other is None or not element_type(node).is_integer:
        return None
    return other(node.a, node.b) if parameters["by"] == "rounding" else _shifted_division(node, other)


def _shifted_division(node: Any, other: Any) -> Any | None:
    """The division or remainder of an operand that is made positive by a multiple of the divisor, and overflows."""
    divisor, dtype = literal(node.b), element_type(node)
    if divisor is None or divisor < 2 or not str(dtype).startswith("int"):
        return None
    multiple = ((1 << dtype.bits - 1) - 1) // int(divisor)
    quotient = other(prim.Add(node.a, constant_like(node.a, multiple * int(divisor))), node.b)
    return quotient if other in (prim.Mod, prim.FloorMod) else prim.Sub(quotient, constant_like(node, multiple))


_operator = partial(Operator, slots=(Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN), category=Category.EXPRESSIONS)

OPERATORS = (
    _operator(
        name="tir.replace-float-arithmetic",
        fault="a wrong operator in a lowered expression, as from a wrong rewrite rule (incorrect code logic, Shen et "
        "al. 2021; rules in TVM's src/arith/rewrite_simplify.cc)",
        description="replaces a floating-point addition, subtraction, multiplication or division in a kernel by "
        "another of these",
        rule=TirRule(tuple(_ARITHMETIC.values()), _replace),
        # Kernels contain sums, products and the expressions of batch normalisations; other results overflow at once.
        **replacement("operation", "add>subtract multiply>add subtract>add divide>multiply", _ARITHMETIC),
        examples=kernel_examples("""
            dot | from=add to=subtract
            B[vi] = B[vi] + A[vi, vk] * W[vk]
            B[vi] = B[vi] - A[vi, vk] * W[vk]
            dot | from=multiply to=add
            B[vi] = B[vi] + A[vi, vk] * W[vk]
            B[vi] = B[vi] + (A[vi, vk] + W[vk])
            map | from=divide to=multiply
            B[i] = A[i] / T.float32(9) - A[0]
            B[i] = A[i] * T.float32(9) - A[0]
        """),
    ),
    _operator(
        name="tir.negate-value",
        fault="a sign that is lost or added when an expression is rewritten (incorrect code logic, Shen et al. 2021; "
        "rules in TVM's src/arith/rewrite_simplify.cc)",
        description="negates a loaded floating-point value, or drops a minus sign: a product with -1 or a difference "
        "from 0",
        rule=TirRule((TensorLoad, prim.Mul, prim.Sub), _negate),
        parameters=(
            Parameter("sign", "whether a minus sign is added or dropped", "insert", choices=("insert", "drop")),
        ),
        variants=({"sign": "insert"},),
        more_variants=({"sign": "drop"},),
        examples=kernel_examples("""
            map
            B[i] = A[i] + T.float32(1)
            B[i] = -A[i] + T.float32(1)
            map | sign=drop
            B[i] = T.exp(T.float32(0) - A[i])
            B[i] = T.exp(A[i])
            map | sign=drop
            B[i] = T.exp(-A[i])
            B[i] = T.exp(A[i])
        """),
    ),
    _operator(
        name="tir.perturb-constant",
        fault="a wrong constant after folding, or a wrong identity of a reduction (incorrect code logic, Shen et al. "
        "2021)",
        description="adds 1 to a constant, subtracts 1, scales or negates the constant, or sets it to 0; a constant "
        "that keeps its value, or is part of an index or of an integer condition, is no site",
        rule=TirRule((prim.FloatImm, tirx.BufferStore), _perturb),
        parameters=(
            Parameter("change", "the change of the constant", "increment", choices=(*_CHANGES, "scale")),
            Parameter("factor", "what change=scale multiplies the constant by", 1.001, magnitude=FACTORS),
            Parameter(
                "of", "any float constant, or the first integer of a stored value", "float", ("float", "integer")
            ),
        ),
        variants=({"change": "increment"}, {"change": "negate"}),
        # TVM refuses to fold a division by zero, and most constants other than zero are divisors.
        more_variants=(
            {"change": "decrement"},
            {"change": "zero"},
            {"change": "scale"},
            {"change": "increment", "of": "integer"},
            {"change": "scale", "of": "integer", "factor": 2.0},
        ),
        examples=kernel_examples("""
            map
            B[i] = T.max(A[i], T.float32(0))
            B[i] = T.max(A[i], T.float32(1))
            reduction | change=negate
            with T.init(): B[vi] = T.float32(-1e30); B[vi] = T.max(B[vi], A[vi, vk])
            with T.init(): B[vi] = T.float32(1e30); B[vi] = T.max(B[vi], A[vi, vk])
            map | change=zero
            B[i] = T.min(A[i], T.float32(6)) + T.float32(0)
            B[i] = T.min(A[i], T.float32(0)) + T.float32(0)
            map | change=scale factor=1.5
            B[i] = A[i] + A[i] * A[i] * T.float32(0.5)
            B[i] = A[i] + A[i] * A[i] * T.float32(0.75)
            integers | of=integer
            B[i] = T.max(A[i + 1] - 8, 3)
            B[i] = T.max(A[i + 1] - 9, 3)
        """),
    ),
    _operator(
        name="tir.replace-intrinsic",
        fault="a function of the wrong name in a rule that lowers intrinsics (wrong operator mapping, Shen et al. "
        "2021; TVM's src/target/*/intrin_rule_*.cc)",
        # Code generators get calls of libraries and of LLVM's own intrinsics.
        slots=(Slot.KERNEL, Slot.LOWERED),
        description="replaces a mathematical function in a kernel by a function that is easily mistaken for it, such "
        "as exp by exp2 or sqrt by rsqrt",
        rule=TirRule((Call,), _replace_function),
        **replacement(
            "function",
            "exp>exp2 sqrt>rsqrt rsqrt>sqrt sigmoid>tanh tanh>sigmoid erf>tanh",
            more="exp2>exp exp>exp10 erf>sigmoid log>log2 log2>log log>log1p log1p>log floor>ceil ceil>floor "
            "round>trunc trunc>round sin>cos cos>sin",
        ),
        examples=kernel_examples("""
            map | from=exp to=exp2
            B[i] = T.exp(A[i]) / T.sqrt(A[0])
            B[i] = T.pow(T.float32(2), A[i]) / T.sqrt(A[0])
            map | from=sqrt to=rsqrt
            B[i] = A[i] / T.sqrt(A[0])
            B[i] = A[i] / T.rsqrt(A[0])
            map | from=sigmoid to=tanh
            B[i] = A[i] * T.sigmoid(A[i])
            B[i] = A[i] * T.tanh(A[i])
        """),
    ),
    _operator(
        name="tir.narrow-cast",
        fault="an operand or product that is kept in a narrower type than the sum (type problems, the most frequent "
        "class of Shen et al. 2021; mixed precision)",
        description="converts a loaded float32 value, or a product of two, to a narrower type and back within an "
        "expression",
        rule=TirRule((TensorLoad, prim.Mul), _narrow),
        parameters=(
            Parameter("type", "the narrower type that the value goes through", "float16", choices=NARROW_TYPES),
        ),
        variants=({"type": "float16"},),
        # Beyond the range of an integer type the device's conversion decides the result.
        more_variants=tuple({"type": name} for name in NARROW_TYPES[1:]),
        examples=kernel_examples("""
            dot | sites=3
            B[vi] = B[vi] + A[vi, vk] * W[vk]
            B[vi] = B[vi] + T.Cast("float32", T.Cast("float16", A[vi, vk] * W[vk]))
            dot | type=int8 sites=1
            B[vi] = B[vi] + A[vi, vk] * W[vk]
            B[vi] = B[vi] + T.Cast("float32", T.Cast("int8", A[vi, vk])) * W[vk]
        """),
    ),
    _operator(
        name="tir.drop-term",
        fault="a factor, a summand or a bound that is lost, as the side of min(e, max(x, c)) in apache/tvm#13922, the "
        "factors alpha and beta in apache/tvm#15497 and n / (n - 1) in apache/tvm#19512",
        description="drops one side of a floating-point sum or product, or of a minimum or maximum",
        rule=TirRule((prim.Add, prim.Mul, prim.Max, prim.Min), _drop_term),
        parameters=(
            Parameter("of", "the kind of expression", choices=tuple(_TERMS)),
            Parameter("operand", "the side that is dropped", "right", choices=_OPERANDS),
        ),
        variants=tuple({"of": of} for of in _TERMS),
        more_variants=tuple({"of": of, "operand": "left"} for of in _TERMS),
        examples=kernel_examples("""
            map | of=product
            B[i] = A[i] * T.float32(2) + A[0]
            B[i] = A[i] + A[0]
            integers | of=extremum operand=left
            B[i] = T.min(A[i], T.max(A[0], 5))
            B[i] = 5
            map | of=sum operand=left
            B[i] = A[i] + A[0]
            B[i] = A[0]
        """),
    ),
    _operator(
        name="tir.drop-inverse",
        fault="two operations that cancel out in exact arithmetic only, removed by a simplification: the rounding to "
        "bfloat16 between two operations, as in pytorch/pytorch#132301",
        description="drops an operation and its inverse: a conversion to a type and back, a division and the product "
        "with the divisor, a sum and the difference; rounding and overflow are lost",
        rule=TirRule(
            (prim.Cast, *dict.fromkeys(kind for pairs in _INVERSE.values() for kind, _ in pairs)), _drop_inverse
        ),
        **choice("of", "the operations", "cast factor summand"),
        examples=kernel_examples("""
            map | of=cast
            B[i] = T.Cast("float32", T.Cast("float16", A[i])) * A[0]
            B[i] = A[i] * A[0]
            integers | of=factor
            B[i] = A[i] // 4 * 4 + A[0]
            B[i] = A[i] + A[0]
            map | of=summand
            B[i] = A[i] + T.float32(8388608) - T.float32(8388608)
            B[i] = A[i]
        """),
        by_default=False,
    ),
    _operator(
        name="tir.swap-extremum",
        fault="a reduction or clip that is lowered with the opposite combiner (incorrect code logic, Shen et al. 2021)",
        description="replaces a floating-point maximum by a minimum or the reverse; tir.swap-compare of gt and lt "
        "gives the same values except for NaN and signed zeros",
        rule=TirRule((prim.Max, prim.Min), _swap_extremum),
        parameters=(Parameter("from", "the node that is replaced", "max", choices=tuple(_EXTREMA)),),
        variants=({"from": "max"}, {"from": "min"}),
        examples=kernel_examples("""
            map
            B[i] = T.max(A[i], T.float32(0))
            B[i] = T.min(A[i], T.float32(0))
            map | from=min
            B[i] = T.min(T.max(A[i], T.float32(0)), T.float32(6))
            B[i] = T.max(T.max(A[i], T.float32(0)), T.float32(6))
        """),
        by_default=False,
    ),
    _operator(
        name="tir.swap-division",
        fault="floor division lowered as C's, wrong for negative numbers (incorrect code logic, Shen et al. 2021; "
        "TVM's src/target/intrin_rule and LowerIntrin)",
        # After the finalizers no floor division remains, and code generators refuse floor divisions.
        slots=(Slot.KERNEL, Slot.LOWERED),
        description="exchanges integer division and remainder that round down and those that round towards zero; the "
        "results differ for negative numbers only, and indices are rarely negative",
        rule=TirRule(tuple(kind for kinds in _DIVISIONS.values() for kind in kinds), _swap_division),
        parameters=(
            Parameter("from", "the rounding that is replaced", "floor", choices=tuple(_DIVISIONS)),
            Parameter("by", "another rounding, or also a shift that overflows", "rounding", ("rounding", "shift")),
        ),
        variants=({"from": "floor"},),
        more_variants=({"from": "truncated"}, {"from": "floor", "by": "shift"}),
        examples=kernel_examples("""
            integers
            B[i] = A[i] // 4 + A[0] % 4
            B[i] = T.Div(A[i], 4) + T.truncmod(A[0], 4)
            integers | by=shift
            B[i] = A[i] // 4 + A[0] % 4
            B[i] = T.Div(A[i] + 2147483644, 4) - 536870911 + T.truncmod(A[0] + 2147483644, 4)
            integers | from=truncated
            B[i] = T.truncmod(A[i], 4)
            B[i] = A[i] % 4
        """),
        # A negative remainder may be an index.
        undefined_behaviour=True,
        by_default=False,
    ),
)

"""Conditional Statement Operations: branches that are always or never taken, or taken the other way round.

A branch is an ``if`` statement, an ``if_then_else``, a Select, or the predicate of a block. One that has nothing on its
other side (an ``if`` without ``else``, a predicate) is a guard.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.ir import Call, prim
from tvm.s_tir import SBlockRealize

from tvm_mutate.mutant import Category, Example, Operator, Parameter, Parameters, Slot, TirRule
from tvm_mutate.operators.tir_nodes import literal

_SLOTS = (Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)
_IF_THEN_ELSE = "prim.if_then_else"
_RUN_TIME = ("tirx.TVMBackend", "tirx.isnullptr")
_STATEMENTS = (tirx.IfThenElse, SBlockRealize)
_NODES = (*_STATEMENTS, prim.Select, Call)


def _condition(node: Any) -> Any | None:
    """What a branch depends on; None for what is no branch, has a constant condition, or checks TVM's run time."""
    if isinstance(node, Call):
        condition = node.args[0] if getattr(node.op, "name", "") == _IF_THEN_ELSE else None
    else:
        condition = node.predicate if isinstance(node, SBlockRealize) else node.condition
    if condition is None or literal(condition) is not None or _asks_the_run_time(condition):
        return None
    return condition


def _asks_the_run_time(condition: Any) -> bool:
    """Whether a condition is a check of memory or return codes that TVM puts around its own run-time calls."""
    while not isinstance(condition, Call) and hasattr(condition, "a"):
        condition = condition.a
    return isinstance(condition, Call) and str(getattr(condition.op, "name", "")).startswith(_RUN_TIME)


def _negate(node: Any, _parameters: Parameters) -> Any | None:
    condition = _condition(node)
    if condition is None:
        return None
    contrary = condition.a if isinstance(condition, prim.Not) else prim.Not(condition)
    if isinstance(node, SBlockRealize):
        return SBlockRealize(node.iter_values, contrary, node.block)
    if isinstance(node, Call):
        return Call(node.op, [contrary, *node.args[1:]], node.attrs, node.ty_args, ret_ty=node.ty)
    if isinstance(node, tirx.IfThenElse):
        return tirx.IfThenElse(contrary, node.then_case, node.else_case)
    return prim.Select(contrary, node.true_value, node.false_value)


def _force(node: Any, parameters: Parameters) -> Any | None:
    if _condition(node) is None:
        return None
    holds = bool(parameters["to"])
    if isinstance(node, Call):
        return node.args[1 if holds else 2]
    if isinstance(node, prim.Select):
        return node.true_value if holds else node.false_value
    if _is_guard(node):
        return None if holds else _never(node)
    return node.then_case if holds else node.else_case


def _never(guard: Any) -> Any:
    if isinstance(guard, SBlockRealize):
        return SBlockRealize(guard.iter_values, prim.const(False, "bool"), guard.block)
    return tirx.Evaluate(prim.const(0, "int32"))


def _is_guard(node: Any) -> bool:
    return isinstance(node, SBlockRealize) or node.else_case is None


def _drop_guard(node: Any, _parameters: Parameters) -> Any | None:
    if _condition(node) is None or not _is_guard(node):
        return None
    if isinstance(node, SBlockRealize):
        return SBlockRealize(node.iter_values, prim.const(True, "bool"), node.block)
    return node.then_case


_PADDING = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((20,), "float32")):
    for i in range(20):
        B[i] = {}
"""
_BLOCK = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((10,), "float32"), B: T.Buffer((10,), "float32")):
    for i, j in T.grid(3, 4):
        with T.sblock("copy"):
            vi = T.axis.spatial(10, i * 4 + j)
            T.where({})
            T.reads(A[vi])
            T.writes(B[vi])
            B[vi] = A[vi]
"""
_STATEMENT = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(20):
        {}
"""
_GUARD = _STATEMENT.format("if i < 16:\n            B[i] = A[i]")

NEGATE_CONDITION = Operator(
    name="tir.negate-condition",
    fault="branches that are exchanged, or a condition that loses its not (incorrect code logic, Shen et al. 2021)",
    slots=_SLOTS,
    category=Category.CONDITIONAL,
    description="negates the condition of an if statement, if_then_else, Select or block predicate; a guard then "
    "lets through exactly what it is there to keep out",
    rule=TirRule(_NODES, _negate),
    examples=(
        Example(
            _PADDING.format("T.if_then_else(2 <= i and i < 18, A[i - 2], T.float32(0))"),
            _PADDING.format("T.if_then_else(not (2 <= i and i < 18), A[i - 2], T.float32(0))"),
        ),
        Example(_BLOCK.format("i * 4 + j < 10"), _BLOCK.format("not (i * 4 + j < 10)")),
        Example(_GUARD.replace("i < 16", "not i < 16"), _GUARD),
    ),
    undefined_behaviour=True,
    by_default=False,
)

FORCE_CONDITION = Operator(
    name="tir.force-condition",
    fault="a branch that is taken for dead and removed (incorrect code logic, Shen et al. 2021; TVM's RemoveNoOp "
    "and StmtSimplify)",
    slots=_SLOTS,
    category=Category.CONDITIONAL,
    description="takes one side of an if statement, if_then_else or Select always; a statement without another "
    "side is then never run (to run it always is tir.drop-guard)",
    rule=TirRule(_NODES, _force),
    parameters=(Parameter("to", "what the condition is taken to be", False),),
    variants=({"to": False},),
    more_variants=({"to": True},),
    examples=(
        Example(
            _PADDING.format("T.if_then_else(2 <= i and i < 18, A[i - 2], T.float32(0))"),
            _PADDING.format("T.float32(0)"),
        ),
        Example(
            _PADDING.format("T.Select(A[0] < A[1], A[2], A[3]) + A[0]"),
            _PADDING.format("A[2] + A[0]"),
            {"to": True},
        ),
        Example(_BLOCK.format("i * 4 + j < 10"), _BLOCK.format("T.bool(False)")),
        Example(_GUARD, _STATEMENT.format("T.evaluate(0)")),
    ),
    undefined_behaviour=True,
)

DROP_GUARD = Operator(
    name="tir.drop-guard",
    fault="the guard of a loop that does not divide evenly, left out (incorrect code logic, Shen et al. 2021; "
    "TVM's LoopPartition)",
    slots=_SLOTS,
    category=Category.CONDITIONAL,
    description="runs a guarded statement always: an if without else, or a block with a predicate, whatever lies "
    "outside of its buffers",
    rule=TirRule(_STATEMENTS, _drop_guard),
    examples=(
        Example(_GUARD, _STATEMENT.format("B[i] = A[i]")),
        Example(_BLOCK.format("i * 4 + j < 10"), _BLOCK.format("T.bool(True)")),
    ),
    undefined_behaviour=True,
    by_default=False,
)

OPERATORS = (NEGATE_CONDITION, FORCE_CONDITION, DROP_GUARD)

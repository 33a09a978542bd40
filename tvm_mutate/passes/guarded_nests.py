"""Loop nests with guards: several copies of each, so that few guards are in the way of the one that runs."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Op, Var, prim
from tvm.s_tir import SBlock

from tvm_mutate.passes.prologue import root_statements, with_root_statements

_INTEGER = "int32"
_IF_THEN_ELSE = "prim.if_then_else"
# LLVM takes so many out of the innermost loop; more stay there, and fewer make more code (benchmarks/switchable.py).
MOST_GUARDS = 8


def by_nests(function: tirx.PrimFunc, guarded: tirx.PrimFunc, active: Var, most: int = MOST_GUARDS) -> tirx.PrimFunc:
    """The guarded function with copies of each of its outermost loops: each with some of the guards, one with none.

    The copy runs that has the guard of the active site. ``function`` is the one without guards.
    """
    statements = []
    for before, after in zip(root_statements(function), root_statements(guarded), strict=True):
        numbers = sorted(set(_numbers_in(after, active)))
        if not numbers or not isinstance(before, tirx.For):
            statements.append(after)
            continue
        chosen = before
        for start in range(0, len(numbers), most):
            low, high = numbers[start], numbers[start : start + most][-1]
            inside = prim.And(prim.LE(prim.const(low, _INTEGER), active), prim.LE(active, prim.const(high, _INTEGER)))
            chosen = tirx.IfThenElse(inside, redefined(_with_guards(after, active, low, high)), chosen)
        statements.append(chosen)
    return with_root_statements(guarded, statements)


def redefined(statement: Any) -> Any:
    """The statement with variables of its own for loops, blocks and bindings: it can stand beside the original."""
    own: dict[Any, Var] = {}

    def define(*variables: Any) -> None:
        own.update((variable, Var(variable.name, variable.ty)) for variable in variables)

    tvm_ffi.structural_walk(
        statement,
        [
            (tirx.For, lambda loop: define(loop.loop_var)),
            (SBlock, lambda block: define(*(each.var for each in block.iter_vars))),
            ((tirx.Bind, prim.Let), lambda binding: define(binding.var)),
        ],
    )
    if not own:
        return statement
    return tvm_ffi.structural_mutate(statement, [(Var, lambda variable, _mutator: own.get(variable, variable))])


def _with_guards(statement: Any, active: Var, low: int, high: int) -> Any:
    """The statement with the guards of these numbers only."""

    def is_kept(condition: Any) -> bool:
        number = _number(condition, active)
        return number is None or low <= number <= high

    def on_branch(branch: tirx.IfThenElse, mutator: Any) -> Any:
        rebuilt = mutator.default_mutate(branch)
        return rebuilt if is_kept(branch.condition) else rebuilt.else_case

    def on_call(call: Call, mutator: Any) -> Any:
        rebuilt = mutator.default_mutate(call)
        is_choice = isinstance(call.op, Op) and call.op.name == _IF_THEN_ELSE
        return rebuilt.args[2] if is_choice and not is_kept(call.args[0]) else rebuilt

    return tvm_ffi.structural_mutate(statement, [(tirx.IfThenElse, on_branch), (Call, on_call)])


def _numbers_in(statement: Any, active: Var) -> list[int]:
    numbers: list[int] = []

    def note(equality: prim.EQ) -> None:
        number = _number(equality, active)
        if number is not None:
            numbers.append(number)

    tvm_ffi.structural_walk(statement, [(prim.EQ, note)])
    return numbers


def _number(condition: Any, active: Var) -> int | None:
    """The number that a guard asks for; None for other conditions."""
    return int(condition.b) if isinstance(condition, prim.EQ) and condition.a.same_as(active) else None

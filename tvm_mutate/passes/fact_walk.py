"""Walks a PrimFunc with the facts that hold at each node: ranges of loops, values of variables, conditions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Op, TensorRegion, Var, prim
from tvm.s_tir import SBlock, SBlockRealize

from tvm_mutate.passes.ir_rewriting import parts_with_sites

_IF_THEN_ELSE = "prim.if_then_else"
_THREAD_ATTRIBUTES = ("thread_extent", "virtual_thread")


class Facts(Protocol):
    """A receiver of the facts that hold at a node, from the outermost to the innermost."""

    def add_range(self, variable: Var, start: Any, extent: Any) -> None:
        """The variable is at least ``start`` and less than ``start + extent``."""

    def add_value(self, variable: Var, value: Any) -> None:
        """The variable has the value that the expression had where the variable was bound."""

    def add_condition(self, condition: Any, holds: bool) -> None:
        """The condition was found to be true, or false."""


Fact = Callable[[Facts], None]
OnNode = Callable[[Any, Sequence[Fact]], bool]


class FactWalk:
    """A walk that shows every node of some types to ``on_node`` with the facts that hold there.

    The walk ends as soon as ``on_node`` returns False.
    """

    def __init__(self, types: Iterable[type], on_node: OnNode) -> None:
        self._types, self._on_node = set(types), on_node
        self._ended = False
        self._facts: list[Fact] = []

    def walk(self, function: tirx.PrimFunc) -> bool:
        """Whether every node was shown."""
        descents: dict[type, Callable[[Any, Any], None]] = {
            tirx.For: self._loop,
            tirx.While: self._while,
            tirx.IfThenElse: self._if,
            tirx.Bind: self._bind,
            tirx.AttrStmt: self._attribute,
            SBlockRealize: self._realize,
            SBlock: self._block,
            prim.And: self._and_or,
            prim.Or: self._and_or,
            prim.Select: self._select,
            prim.Let: self._let,
            Call: self._call,
        }

        def on_node(node: Any, visitor: Any) -> None:
            if type(node) in self._types and not self._ended:
                self._ended = not self._on_node(node, self._facts)
            if not self._ended:
                descents.get(type(node), _descend)(node, visitor)

        # The regions that blocks declare are never evaluated and have no sites.
        skipped = (TensorRegion, lambda _node, _visitor: None)
        for part in parts_with_sites(function):
            tvm_ffi.structural_visit(part, [skipped, (tuple({*descents, *self._types}), on_node)])
        return not self._ended

    @contextlib.contextmanager
    def _within(self, *facts: Fact) -> Iterator[None]:
        """A scope in which the facts hold; facts found inside end with the scope."""
        outside = len(self._facts)
        self._facts += facts
        yield
        del self._facts[outside:]

    def _loop(self, loop: tirx.For, visitor: Any) -> None:
        _visit(visitor, loop.min, loop.extent, loop.step, loop.thread_binding, loop.annotations)
        upwards = loop.step is None or (isinstance(loop.step, prim.IntImm) and loop.step.value > 0)
        with self._within(*([_range(loop.loop_var, loop.min, loop.extent)] if upwards else [])):
            visitor.visit(loop.body)

    def _while(self, loop: tirx.While, visitor: Any) -> None:
        visitor.visit(loop.condition)
        with self._within():
            visitor.visit(loop.body)

    def _if(self, branch: tirx.IfThenElse, visitor: Any) -> None:
        visitor.visit(branch.condition)
        self._branch(branch.condition, True, branch.then_case, visitor)
        if branch.else_case is not None:
            self._branch(branch.condition, False, branch.else_case, visitor)

    def _branch(self, condition: Any, holds: bool, node: Any, visitor: Any) -> None:
        with self._within(_condition(condition, holds)):
            visitor.visit(node)

    def _bind(self, binding: tirx.Bind, visitor: Any) -> None:
        visitor.visit(binding.value)
        self._facts.append(_value(binding.var, binding.value))  # until the enclosing scope ends

    def _attribute(self, attribute: tirx.AttrStmt, visitor: Any) -> None:
        _visit(visitor, attribute.node, attribute.value)
        facts = []
        if attribute.attr_key in _THREAD_ATTRIBUTES:
            start = prim.const(0, attribute.value.ty.dtype)
            facts.append(_range(attribute.node.var, start, attribute.value))
        with self._within(*facts):
            visitor.visit(attribute.body)

    def _realize(self, realize: SBlockRealize, visitor: Any) -> None:
        _visit(visitor, realize.iter_values, realize.predicate)
        # Only the bound values of a block's iterators are facts: a mutant may make their declared domains wrong.
        variables = [iterator.var for iterator in realize.block.iter_vars]
        facts = [_value(*pair) for pair in zip(variables, realize.iter_values, strict=True)]
        with self._within(*facts, _condition(realize.predicate, True)):
            visitor.visit(realize.block)

    def _block(self, block: SBlock, visitor: Any) -> None:
        _visit(visitor, block.iter_vars, block.alloc_buffers, block.match_buffers, block.annotations)
        for body in (block.init, block.body):
            if body is not None:
                with self._within():
                    visitor.visit(body)

    def _and_or(self, node: Any, visitor: Any) -> None:
        # A target that evaluates the right-hand side although the left-hand side decides ignores the value.
        visitor.visit(node.a)
        self._branch(node.a, isinstance(node, prim.And), node.b, visitor)

    def _select(self, node: prim.Select, visitor: Any) -> None:
        self._choice(node.condition, node.true_value, node.false_value, visitor)

    def _call(self, call: Call, visitor: Any) -> None:
        if isinstance(call.op, Op) and call.op.name == _IF_THEN_ELSE:
            condition, if_true, if_false = call.args
            self._choice(condition, if_true, if_false, visitor)
        else:
            visitor.default_visit(call)

    def _choice(self, condition: Any, if_true: Any, if_false: Any, visitor: Any) -> None:
        visitor.visit(condition)
        self._branch(condition, True, if_true, visitor)
        self._branch(condition, False, if_false, visitor)

    def _let(self, let: prim.Let, visitor: Any) -> None:
        visitor.visit(let.value)
        with self._within(_value(let.var, let.value)):
            visitor.visit(let.body)


def _descend(node: Any, visitor: Any) -> None:
    visitor.default_visit(node)


def _visit(visitor: Any, *nodes: Any) -> None:
    for node in nodes:
        if node is not None:
            visitor.visit(node)


def _range(variable: Any, start: Any, extent: Any) -> Fact:
    return lambda facts: facts.add_range(variable, start, extent)


def _value(variable: Any, value: Any) -> Fact:
    return lambda facts: facts.add_value(variable, value)


def _condition(condition: Any, holds: bool) -> Fact:
    return lambda facts: facts.add_condition(condition, holds)


_PURE = 1  # TVM's CallEffectKind: calls above it read or change state beyond their arguments


def is_pure(term: Any) -> bool:
    """Whether evaluating the term once more or once less makes no difference."""
    impure = (Call, lambda call: None if has_no_effect(call) else tvm_ffi.VisitInterrupt())
    return tvm_ffi.structural_walk(term, impure) is None


def has_no_effect(call: Call) -> bool:
    """Whether a call only computes a value of its arguments."""
    effect = call.op.get_attr("TCallEffectKind") if isinstance(call.op, tvm.ir.Op) else None
    return effect is not None and int(effect) <= _PURE

"""Proves, before anything is built, that a mutation of a PrimFunc cannot change what it computes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Op, TensorRegion, prim
from tvm.s_tir import SBlock, SBlockRealize

from tvm_mutate.mutant import TirRule
from tvm_mutate.passes.integer_facts import IntegerFacts, UnknownValueError
from tvm_mutate.passes.selection import Replacement, Selection, Tally, one_line
from tvm_mutate.passes.tir_rewriter import parts_with_sites, rewrite_prim_func

_IF_THEN_ELSE = "prim.if_then_else"
_THREAD_ATTRIBUTES = ("thread_extent", "virtual_thread")

Fact = Callable[[IntegerFacts], None]


def prove_equivalent(function: tirx.PrimFunc, name: str, selections: Sequence[Selection]) -> str | None:
    """The proof that the selected sites of a PrimFunc cannot change what it computes, as a sentence; None if none.

    None says nothing: the sites may be equivalent all the same. Only conditions and integers are proved equal,
    with TVM's analyzer, and a function in which nothing is selected has no proof.

    Every pair of an original expression and its replacement is proved equal from facts of the *original*
    program: ranges of loops, values of bound variables, conditions of enclosing branches. That is sound for
    several sites at once. Run the original and the mutated program side by side: as long as they agree, both
    are at the same place in the same state, where the facts hold of the original; so the outermost replaced
    expression that is evaluated next gives the original's value there (its pair includes the replacements
    inside it), and they go on to agree.
    """
    matching = [selection for selection in selections if selection.mutation.matches(name)]
    if not all(isinstance(selection.operator.rule, TirRule) for selection in matching):
        return None
    tallies = [Tally(selection, name, replacements=[]) for selection in matching]
    rewrite_prim_func(function, tallies)
    replaced = [replacement for tally in tallies for replacement in tally.replacements or ()]
    if not replaced or not all(_is_decidable(each.original) and _is_decidable(each.replacement) for each in replaced):
        return None
    if not _Prover(replaced).prove(function):
        return None
    first, others = replaced[0], len(replaced) - 1
    return (
        f"{one_line(first.replacement)} always equals {one_line(first.original)} at site {first.ordinal}"
        + (f", and so at {others} more" if others else "")
        + ": proved by TVM's analyzer"
    )


def _is_decidable(node: Any) -> bool:
    """Whether a node is an expression of a scalar integer or truth value, and compares no floats."""
    dtype = getattr(getattr(node, "ty", None), "dtype", None)
    if dtype is None or dtype.lanes != 1 or not (dtype.is_integer or dtype.is_bool):
        return False
    operand = getattr(getattr(getattr(node, "a", None), "ty", None), "dtype", None)
    return operand is None or not operand.is_float


class _Prover:
    """Walks a function with the facts that hold at each place, and proves the replacements where they stand.

    Originals are found by identity. TVM shares nodes, so one may stand in several places: its replacements have
    to be proved in all of them.
    """

    def __init__(self, replaced: Sequence[Replacement]) -> None:
        self._pending: dict[Any, list[Replacement]] = {}
        for each in replaced:
            self._pending.setdefault(each.original.__chandle__(), []).append(each)
        self._types = {type(each.original) for each in replaced}
        self._proved: set[Any] = set()
        self._failed = False
        self._facts: list[Fact] = []

    def prove(self, function: tirx.PrimFunc) -> bool:
        """Whether every replacement was met and proved."""
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
            if type(node) in self._types:
                self._check(node)
            if not self._failed:
                descents.get(type(node), _descend)(node, visitor)

        # What blocks declare to read and write is never evaluated, nor numbered.
        skipped = (TensorRegion, lambda _node, _visitor: None)
        for part in parts_with_sites(function):
            tvm_ffi.structural_visit(part, [skipped, (tuple({*descents, *self._types}), on_node)])
        return not self._failed and len(self._proved) == len(self._pending)

    def _check(self, node: Any) -> None:
        handle = node.__chandle__()
        if handle not in self._pending or self._failed:
            return
        self._proved.add(handle)
        try:
            with IntegerFacts() as facts:
                for add in self._facts:
                    add(facts)
                self._failed = not all(
                    facts.prove_equal(each.original, each.replacement) for each in self._pending[handle]
                )
        except (UnknownValueError, RuntimeError, ValueError):  # the analyzer raises at what it finds no way to handle
            self._failed = True

    @contextlib.contextmanager
    def _within(self, *facts: Fact) -> Iterator[None]:
        """A scope of its own, in which the facts hold; those that are found in it end with it."""
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
        # A block's iterators are known by what they are bound to. Their domains are claims, which need not be true.
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
        # Not every target skips the right-hand side when the left-hand one decides. Then its value has no effect.
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

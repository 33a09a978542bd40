"""Whether a mutation leaves a kernel's memory accesses as they are, so that only values can come out otherwise."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Call, Op, TensorLoad, prim
from tvm.s_tir import SBlockRealize

_IF_THEN_ELSE = "prim.if_then_else"


def keeps_accesses(original: Any, mutated: Any) -> bool:
    """Whether a replaced node writes the elements that it wrote before, and reads no others.

    Says no where it cannot tell: for all but floating-point values, since others may be indices or conditions, and for
    constants, which TVM folds into what is around them.
    """
    if isinstance(original, tirx.Stmt):
        return tvm_ffi.structural_equal(_skeleton(original), _skeleton(mutated)) and _reads_no_more(original, mutated)
    return _is_float(original) and not isinstance(mutated, prim.FloatImm) and _reads_no_more(original, mutated)


def accesses_depend_on_data(function: tirx.PrimFunc) -> bool:
    """Whether what a function loads decides which elements it accesses: in an index, a branch or a loop."""
    found = False

    def note_load(_load: TensorLoad) -> None:
        nonlocal found
        found = True

    def look_into(*parts: Any) -> None:
        for part in parts:
            if part is not None:
                tvm_ffi.structural_walk(part, [(TensorLoad, note_load)])

    def on_call(call: Call) -> None:
        if _is_if_then_else(call):
            look_into(call.args[0])

    tvm_ffi.structural_walk(
        function,
        [
            (tirx.BufferStore, lambda store: look_into(*store.indices)),
            (TensorLoad, lambda load: look_into(*load.indices)),
            (tirx.IfThenElse, lambda branch: look_into(branch.condition)),
            (tirx.While, lambda loop: look_into(loop.condition)),
            (tirx.For, lambda loop: look_into(loop.min, loop.extent, loop.step)),
            (SBlockRealize, lambda realize: look_into(realize.predicate, *realize.iter_values)),
            (Call, on_call),
        ],
    )
    return found


def converts_to_integers(node: Any) -> bool:
    """Whether floating-point values become integers in a function or node: those out of range become anything."""
    found = False

    def note(cast: prim.Cast) -> None:
        nonlocal found
        found |= _is_float(cast.value) and not _is_float(cast)

    tvm_ffi.structural_walk(node, [(prim.Cast, note)])
    return found


def _skeleton(statement: Any) -> Any:
    """The statement with the same constant for every floating-point value that it stores."""

    def on_store(store: Any, _mutator: Any) -> Any:
        if not _is_float(store.value):
            return store
        return tirx.BufferStore(store.buffer, prim.const(0.0, store.value.ty.dtype), store.indices)

    return tvm_ffi.structural_mutate(statement, [(tirx.BufferStore, on_store)])


def _reads_no_more(original: Any, mutated: Any) -> bool:
    """Whether all that a node reads, and what it reads under a condition with that, was there before."""
    before: set[Any] = set()
    others = False

    def note(node: Any, visitor: Any) -> None:
        if _is_access(node):
            before.add(tvm_ffi.StructuralKey(node))
        else:
            visitor.default_visit(node)

    def compare(node: Any, visitor: Any) -> None:
        nonlocal others
        if _is_access(node) and tvm_ffi.StructuralKey(node) in before:
            return
        others |= _is_access(node) and not isinstance(node, prim.Select)
        visitor.default_visit(node)

    kinds = (TensorLoad, Call, prim.Select)
    tvm_ffi.structural_visit(original, [(kinds, note)])
    tvm_ffi.structural_visit(mutated, [(kinds, compare)])
    return not others


def _is_access(node: Any) -> bool:
    return isinstance(node, (TensorLoad, prim.Select)) or _is_if_then_else(node)


def _is_if_then_else(node: Any) -> bool:
    return isinstance(node, Call) and isinstance(node.op, Op) and node.op.name == _IF_THEN_ELSE


def _is_float(expression: Any) -> bool:
    dtype = getattr(getattr(expression, "ty", None), "dtype", None)
    return dtype is not None and bool(dtype.is_float)

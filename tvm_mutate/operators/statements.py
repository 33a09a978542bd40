"""Statements and blocks in TIR: what rules that rewrite them need. No family of operators."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad, TensorRegion, Var, prim
from tvm.s_tir import SBlock

from tvm_mutate.operators.literals import literal

SPATIAL, REDUCTION = 0, 2
_FIELDS = (
    "iter_vars",
    "reads",
    "writes",
    "name_hint",
    "body",
    "init",
    "alloc_buffers",
    "match_buffers",
    "annotations",
)


def nothing() -> tirx.Evaluate:
    """The statement that stands where one was taken out."""
    return tirx.Evaluate(prim.const(0, "int32"))


def storing(store: Any, value: Any | None) -> Any | None:
    """The store with another value; None without one."""
    return None if value is None else tirx.BufferStore(store.buffer, value, store.indices)


def block_with(block: Any, **changed: Any) -> Any:
    """The block with some of its fields changed. What it declares to read and write stays as it is."""
    return SBlock(**{name: getattr(block, name) for name in _FIELDS} | changed)


def loop_with(loop: Any, **changed: Any) -> Any:
    """The loop with some of its fields changed."""
    names = ("loop_var", "min", "extent", "kind", "body", "thread_binding", "annotations", "step")
    return tirx.For(**{name: getattr(loop, name) for name in names} | changed)


def is_thread(loop: Any) -> bool:
    """Whether a loop stands for the threads or blocks of a launch."""
    return loop.kind == tirx.ForKind.THREAD_BINDING


def loads_stored_element(expression: Any, store: Any) -> bool:
    """Whether an expression is what the store's element holds before it."""
    return (
        isinstance(expression, TensorLoad)
        and expression.source.same_as(store.buffer)
        and tvm_ffi.structural_equal(list(expression.indices), list(store.indices))
    )


def accumulated(store: Any, kinds: tuple[type, ...]) -> Any | None:
    """``x`` of a store ``C[i] = C[i] + x``, with one of the kinds of node in the place of +; None for other stores."""
    value: Any = store.value if type(store.value) in kinds else None
    if value is None:
        return None
    if loads_stored_element(value.a, store):
        return value.b
    return value.a if loads_stored_element(value.b, store) else None


def extent_of(iterator: Any) -> int:
    """How many values an iterator of a block takes; 0 where that is unknown."""
    extent = literal(iterator.dom.extent)
    return 0 if extent is None else int(extent)


def substituted(node: Any, replacements: dict[Any, Any], kept: Any = None) -> Any:
    """The node with variables replaced, but not in loads from the buffer ``kept``, nor in declared regions of it."""

    def on_variable(variable: Any, _mutator: Any) -> Any:
        return replacements.get(variable, variable)

    def on_access(access: Any, mutator: Any) -> Any:
        return access if kept is not None and access.source.same_as(kept) else mutator.default_mutate(access)

    callbacks: list[Any] = [(Var, on_variable), ((TensorLoad, TensorRegion), on_access)]
    return tvm_ffi.structural_mutate(node, callbacks)

"""Statements that a kernel begins with: what mutated kernels ask of the run-time support, once a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.s_tir import SBlock, SBlockRealize

# The attribute of a function whose code calls the run-time support of the native library.
CALLS_RUNTIME = "tvm_mutate.calls_runtime"

_BLOCK_FIELDS = (
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


def with_prologue(function: tirx.PrimFunc, statements: Sequence[Any]) -> tirx.PrimFunc:
    """The function with the statements before all others, and marked as one that calls the run-time support."""
    return with_root_statements(function, [*statements, *root_statements(function)]).with_attr(CALLS_RUNTIME, 1)


def root_statements(function: tirx.PrimFunc) -> list[Any]:
    """The outermost statements of a function; of a structured one, those in the block around all others."""
    body = function.body.block.body if isinstance(function.body, SBlockRealize) else function.body
    return list(body.seq) if isinstance(body, tirx.SeqStmt) else [body]


def with_root_statements(function: tirx.PrimFunc, statements: Sequence[Any]) -> tirx.PrimFunc:
    """The function with other outermost statements."""
    body: Any = statements[0] if len(statements) == 1 else tirx.SeqStmt(list(statements))
    realize = function.body
    if isinstance(realize, SBlockRealize):
        fields = {name: getattr(realize.block, name) for name in _BLOCK_FIELDS}
        body = SBlockRealize(realize.iter_values, realize.predicate, SBlock(**fields | {"body": body}))
    return function.with_body(body)

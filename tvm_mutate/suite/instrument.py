"""Kernels that tell when they run: a call of a function of ours before and after what they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import CallingConv

from tvm_mutate.passes import COMPUTE_SCOPE

KERNEL_CALL = "tvm_mutate.suite.kernel"
BEGIN, END = 0, 1


def instrumented(function: tirx.PrimFunc, number: int) -> tirx.PrimFunc | None:
    """The function after the TIR pipeline with calls that tell ``number`` and its arguments; None where none can be.

    They stand before and after what it computes, which is left as it is, to the last node. Only functions with the
    packed calling convention can tell: a call of ours may fail, and no other has a way to pass that on.
    """
    convention = int(function.attrs.get("calling_conv", 0)) if function.attrs else 0
    if convention != int(CallingConv.C_PACKED_FUNC) or not _is_for_processor(function):
        return None
    handles = list(function.params)[1:]  # the arguments, how many there are, and where the result goes

    def on_attribute(node: Any, mutator: Any) -> Any:
        if node.attr_key != COMPUTE_SCOPE:
            return mutator.default_mutate(node)
        return tirx.SeqStmt([_call(number, BEGIN, handles), node, _call(number, END, handles)])

    told = tvm_ffi.structural_mutate(function, [(tirx.AttrStmt, on_attribute)])
    return None if told.same_as(function) else told


def _call(number: int, phase: int, handles: Sequence[Any]) -> Any:
    return tirx.Evaluate(tirx.call_packed(KERNEL_CALL, number, phase, *handles))


def _is_for_processor(function: tirx.PrimFunc) -> bool:
    target = function.attrs.get("target") if function.attrs else None
    return target is None or tvm.target.Target(target).kind.name in ("llvm", "c")

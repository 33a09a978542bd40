"""Kernels that tell when they run: a call of a function of ours before and after what they compute."""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import CallingConv

KERNEL_CALL = "tvm_mutate.suite.kernel"
BEGIN, END, BARE = 0, 1, 2
_COMPUTE_SCOPE = "compute_scope"
_DEVICE_CONVENTION = int(CallingConv.DEVICE_KERNEL_LAUNCH)


def instrumented(function: tirx.PrimFunc, number: int) -> tirx.PrimFunc | None:
    """The function after the TIR pipeline with calls that tell ``number``; None for one that runs on no processor.

    A function with the packed calling convention is told with its arguments, before and after what it computes;
    another one with its number alone. What is computed is left as it is, to the last node.
    """
    convention = int(function.attrs.get("calling_conv", 0)) if function.attrs else 0
    if convention == _DEVICE_CONVENTION or not _is_for_processor(function):
        return None
    if convention != int(CallingConv.C_PACKED_FUNC):
        return function.with_body(tirx.SeqStmt([_call(number, BARE), function.body]))
    handles = [function.params[1], function.params[2]]

    def on_attribute(node: Any, mutator: Any) -> Any:
        if node.attr_key != _COMPUTE_SCOPE:
            return mutator.default_mutate(node)
        return tirx.SeqStmt([_call(number, BEGIN, *handles), node, _call(number, END, *handles)])

    told = tvm_ffi.structural_mutate(function, [(tirx.AttrStmt, on_attribute)])
    return None if told.same_as(function) else told


def _call(number: int, phase: int, *handles: Any) -> Any:
    return tirx.Evaluate(tirx.call_packed(KERNEL_CALL, number, phase, *handles))


def _is_for_processor(function: tirx.PrimFunc) -> bool:
    target = function.attrs.get("target") if function.attrs else None
    return target is None or tvm.target.Target(target).kind.name in ("llvm", "c")

"""Runs kernels on a stack that was filled with a known pattern: small buffers of CPU kernels lie there."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import tvm
from tvm import tirx
from tvm.script import tirx as T  # noqa: N812
from tvm.target import Target

_SYMBOL = "run_on_filled_stack"
# TVM puts buffers below 1 KiB on the stack (kMaxStackAlloca), a few of them in one kernel.
_STACK_BYTES = 1 << 16
# Filling has to happen in the frame that the kernel is called from: whatever ran between would leave its own bytes.
_CODE = f"""
declare i32 @TVMFFIFunctionCall(ptr, ptr, i32, ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define internal void @fill(i8 %byte) noinline {{
  %area = alloca [{_STACK_BYTES} x i8], align 64
  call void @llvm.memset.p0.i64(ptr %area, i8 %byte, i64 {_STACK_BYTES}, i1 true)
  ret void
}}

define dllexport i32 @__tvm_ffi_{_SYMBOL}(ptr %self, ptr %arguments, i32 %count, ptr %result) {{
  %first = getelementptr i8, ptr %arguments, i64 8
  %byte = load i8, ptr %first
  %second = getelementptr i8, ptr %arguments, i64 24
  %kernel = load ptr, ptr %second
  %others = getelementptr i8, ptr %arguments, i64 32
  %left = sub i32 %count, 2
  call void @fill(i8 %byte)
  %code = call i32 @TVMFFIFunctionCall(ptr %kernel, ptr %others, i32 %left, ptr %result)
  ret i32 %code
}}
"""


def filled_stack_caller() -> Any:
    """A function ``call(byte, kernel, *arguments)`` that fills the stack below it with a byte and calls the kernel.

    Arguments come as ``TVMFFIAny``, 16 bytes each with the value in the second half (tvm/ffi/c_api.h).
    """
    with tempfile.TemporaryDirectory(prefix="tvm_mutate-") as folder:
        path = Path(folder) / "stack.ll"
        path.write_text(_preamble() + _CODE)
        return tvm.runtime.load_module(str(path))[_SYMBOL]


def _preamble() -> str:
    """The data layout and the triple of this machine, as LLVM writes them."""

    @T.prim_func
    def nothing(buffer: T.Buffer((1,), "float32")) -> None:  # type: ignore[valid-type]
        buffer[0] = T.float32(0)

    text = tirx.build(tvm.IRModule({"nothing": nothing}), target=Target("llvm")).inspect_source("ll")
    return "\n".join(line for line in text.splitlines() if line.startswith("target ")) + "\n"

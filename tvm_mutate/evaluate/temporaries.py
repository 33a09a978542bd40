"""The memory of a CPU kernel's temporary buffers, filled with a known pattern: TVM's workspace pool and the stack."""

from __future__ import annotations

import ctypes
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import libinfo, tirx
from tvm.s_tir.stmt import SBlock
from tvm.script import tirx as T  # noqa: N812
from tvm.target import Target

_CPU = 1  # kDLCPU
_SYMBOL = "run_on_filled_stack"
# TVM puts buffers below 1 KiB on the stack (kMaxStackAlloca), a few of them in one kernel.
_STACK_BYTES = 1 << 16
# The frame that calls the kernel has to do the filling: anything that ran in between would leave its own bytes.
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


class Temporaries:
    """Pages of TVM's CPU workspace pool, and the stack below a kernel.

    The pool (src/runtime/workspace_pool.cc) hands out the smallest free page that fits. A kernel that runs after pages
    of the sizes of its temporary buffers were filled gets those pages; small buffers are on the stack. So a kernel that
    reads a temporary buffer without writing it first reads the same bytes every time.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(str(libinfo.find_libtvm_runtime()))
        self._allocate, self._free = library.TVMBackendAllocWorkspace, library.TVMBackendFreeWorkspace
        self._allocate.restype = ctypes.c_void_p
        self._allocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
        self._free.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
        self._call = _filled_stack_caller()

    def run(self, kernel: Any, tensors: Sequence[tvm.runtime.Tensor], pattern: int, sizes: Sequence[int]) -> float:
        """Calls a kernel whose temporary buffers have these sizes in bytes, filled with a byte; gives its seconds."""
        for page in self._pages(sizes):
            page[...] = pattern
        started = time.perf_counter()
        self._call(pattern, kernel, *tensors)
        return time.perf_counter() - started

    def _pages(self, sizes: Sequence[int]) -> list[np.ndarray]:
        """Pages of these sizes in bytes, given back to the pool, which keeps them for the next kernel."""
        addresses = [self._allocate(_CPU, 0, size, 2, 32) for size in sizes]
        for address in reversed(addresses):
            self._free(_CPU, 0, address)
        return [
            np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
            for address, size in zip(addresses, sizes, strict=True)
        ]


def temporary_sizes(function: tirx.PrimFunc) -> tuple[int, ...]:
    """The sizes in bytes of the buffers that a structured PrimFunc allocates, the largest first."""
    sizes: list[int] = []

    def note(block: SBlock) -> None:
        for buffer in block.alloc_buffers:
            sizes.append(math.prod(map(int, buffer.shape)) * int(tvm_ffi.dtype(str(buffer.dtype)).itemsize))

    tvm_ffi.structural_walk(function, [(SBlock, note)])
    return tuple(sorted(sizes, reverse=True))


def _filled_stack_caller() -> Any:
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

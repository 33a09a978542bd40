"""The memory that CPU kernels take their temporary buffers from, filled with a known pattern."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import libinfo, tirx
from tvm.s_tir.stmt import SBlock

from tvm_mutate.evaluate.stack import filled_stack_caller

_CPU = 1  # kDLCPU


class Workspace:
    """Pages of TVM's CPU workspace pool, and the stack.

    The pool (src/runtime/workspace_pool.cc) hands out the smallest free page that fits, so a kernel that runs after
    pages were filled that fit its temporary buffers gets those; small buffers are on the stack. What a kernel reads
    there without having written it is the same garbage every time.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(str(libinfo.find_libtvm_runtime()))
        self._allocate, self._free = library.TVMBackendAllocWorkspace, library.TVMBackendFreeWorkspace
        self._allocate.restype = ctypes.c_void_p
        self._allocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
        self._free.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
        self._call = filled_stack_caller()

    def run(self, kernel: Any, tensors: Sequence[tvm.runtime.Tensor], pattern: int, sizes: Sequence[int]) -> float:
        """Calls a kernel whose temporary buffers have these sizes in bytes, all filled with a byte; its seconds."""
        for page in self._pages(sizes):
            page[...] = pattern
        started = time.perf_counter()
        self._call(pattern, kernel, *tensors)
        return time.perf_counter() - started

    def _pages(self, sizes: Sequence[int]) -> list[np.ndarray]:
        """Pages of these sizes in bytes, given back to the pool, which keeps them for the next that asks."""
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
        sizes.extend(_byte_count(buffer) for buffer in block.alloc_buffers)

    tvm_ffi.structural_walk(function, [(SBlock, note)])
    return tuple(sorted(sizes, reverse=True))


def _byte_count(buffer: tirx.Buffer) -> int:
    count = 1
    for dim in buffer.shape:
        count *= int(dim)
    return count * int(tvm_ffi.dtype(str(buffer.dtype)).itemsize)

"""The workspace that CPU kernels take their temporary buffers from, filled with a known pattern."""

from __future__ import annotations

import ctypes

from tvm import libinfo

_CPU = 1  # kDLCPU
_BLOCKS = 8  # more temporary buffers at once than a kernel of ours has


class Workspace:
    """Pages of TVM's CPU workspace pool, of ``block_bytes`` each.

    The pool (src/runtime/workspace_pool.cc) hands out the smallest free page that fits, so a kernel that runs after
    :meth:`fill` gets pages of this pattern for every buffer of at most ``block_bytes``; what it reads there without
    having written it is the same garbage every time.
    """

    def __init__(self, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        library = ctypes.CDLL(str(libinfo.find_libtvm_runtime()))
        self._allocate, self._free = library.TVMBackendAllocWorkspace, library.TVMBackendFreeWorkspace
        self._allocate.restype = ctypes.c_void_p
        self._allocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
        self._free.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]

    def fill(self, pattern: int) -> None:
        """Fills the pages with a byte and gives them back to the pool."""
        pages = [self._allocate(_CPU, 0, self._block_bytes, 2, 32) for _ in range(_BLOCKS)]
        for page in pages:
            ctypes.memset(page, pattern, self._block_bytes)
        for page in reversed(pages):
            self._free(_CPU, 0, page)

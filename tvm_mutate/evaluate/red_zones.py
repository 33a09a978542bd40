"""Red zones: bands of a known pattern around the buffers of a mutated kernel, which tell accesses outside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tvm
import xxhash

from tvm_mutate.build import Kernel
from tvm_mutate.evaluate.workspace import Workspace
from tvm_mutate.program import ValueType

BAND_BYTES = 1 << 16
_ALIGNMENT = 64
# As float32 a tiny number, and one of each sign that is large and still survives a cast to an integer: what is read
# must not be lost in a sum, a maximum or a conversion every time.
_PATTERNS = (0xA5, 0x49, 0xC9)
_BANDS = {pattern: xxhash.xxh3_64_intdigest(bytes([pattern]) * BAND_BYTES) for pattern in _PATTERNS}
WRITE = "write outside a buffer"
READ = "read outside a buffer, or of memory that was never written"


class Arena:
    """The buffers of one call of a mutated kernel, each between two bands of one byte pattern.

    It is used for one input after another. ``arguments`` and ``results`` are the types of what the kernel reads and
    writes, ``temporaries`` the sizes in bytes of the buffers that it takes from the workspace.
    """

    def __init__(
        self,
        arguments: Sequence[ValueType],
        results: Sequence[ValueType],
        workspace: Workspace,
        temporaries: Sequence[int],
    ) -> None:
        kinds = [*arguments, *results]
        starts, end = _places(kinds)
        self._workspace, self._temporaries = workspace, temporaries
        memory = np.empty(end + _ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % _ALIGNMENT
        self._memory = memory[start : start + end]
        self._bands = [self._memory[: starts[0]]] + [
            self._memory[at + kind.byte_count : following]
            for at, kind, following in zip(starts, kinds, [*starts[1:], end], strict=True)
        ]
        views = [
            self._memory[at : at + kind.byte_count].view(kind.dtype).reshape(kind.shape)
            for at, kind in zip(starts, kinds, strict=True)
        ]
        self._tensors = [tvm.runtime.from_dlpack(view) for view in views]
        self._given, self._results = views[: len(arguments)], views[len(arguments) :]
        self._pattern = -1
        self.kernel_seconds = 0.0

    def run(
        self, kernel: Kernel, arguments: Sequence[np.ndarray], thoroughly: bool
    ) -> tuple[list[np.ndarray], set[str]]:
        """The results of a kernel on copies of its arguments, and what it did that is undefined.

        With ``thoroughly`` it runs under two other patterns first: results that differ then were made of memory that
        is not the kernel's. The results are those of the first pattern, so that what would be garbage is the same
        garbage every time; they stay good until the next run.
        """
        undefined: set[str] = set()
        others = [self._run(each, kernel, arguments, undefined) for each in _PATTERNS[1:]] if thoroughly else []
        digests = self._run(_PATTERNS[0], kernel, arguments, undefined)
        if any(other != digests for other in others):
            undefined.add(READ)
        return self._results, undefined

    def _run(self, pattern: int, kernel: Kernel, arguments: Sequence[np.ndarray], undefined: set[str]) -> list[bytes]:
        self._fill(pattern)
        for view, argument in zip(self._given, arguments, strict=True):
            view[...] = argument.reshape(view.shape)
        before = [_digest(view) for view in self._given]
        self.kernel_seconds += self._workspace.run(kernel.run, self._tensors, pattern, self._temporaries)
        if not self._intact(pattern) or before != [_digest(view) for view in self._given]:
            undefined.add(WRITE)
            self._pattern = -1  # what was written over has to be mended before the next run
        return [_digest(view) for view in self._results]

    def _fill(self, pattern: int) -> None:
        if self._pattern != pattern:
            self._memory[...] = pattern
            self._pattern = pattern
        for view in self._results:
            view.view(np.uint8)[...] = pattern

    def _intact(self, pattern: int) -> bool:
        return all(
            xxhash.xxh3_64_intdigest(band[:BAND_BYTES].data) == _BANDS[pattern]
            and bool((band[BAND_BYTES:] == pattern).all())
            for band in self._bands
        )


def _places(kinds: Sequence[ValueType]) -> tuple[list[int], int]:
    """Where each buffer starts, and how long the memory is: a band before the first and one after each."""
    starts, end = [], BAND_BYTES
    for kind in kinds:
        starts.append(end)
        end += -(-kind.byte_count // _ALIGNMENT) * _ALIGNMENT + BAND_BYTES
    return starts, end


def _digest(array: np.ndarray) -> bytes:
    return xxhash.xxh3_128_digest(array.reshape(-1).view(np.uint8).data)

"""Red zones: bands of a known pattern around the buffers of a mutated kernel, which tell accesses outside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tvm

from tvm_mutate.build import Kernel
from tvm_mutate.evaluate.workspace import Workspace
from tvm_mutate.program import ValueType

BAND_BYTES = 1 << 16
_ALIGNMENT = 64
_PATTERNS = (0xA5, 0x5A)
WRITE = "write outside a buffer"
READ = "read outside a buffer, or of memory that was never written"


class Guarded:
    """A buffer between two bands of one byte pattern; without content it is filled with the pattern, too."""

    def __init__(self, kind: ValueType, pattern: int, content: np.ndarray | None = None) -> None:
        count = int(np.prod(kind.shape, dtype=np.int64)) * np.dtype(kind.dtype).itemsize
        self._memory = np.full(count + 2 * BAND_BYTES + _ALIGNMENT, pattern, np.uint8)
        start = BAND_BYTES + -(self._memory.ctypes.data + BAND_BYTES) % _ALIGNMENT
        self._inside = slice(start, start + count)
        self._pattern = pattern
        self.array = self._memory[self._inside].view(kind.dtype).reshape(kind.shape)
        if content is not None:
            self.array[...] = content.reshape(kind.shape)
        self._before = None if content is None else self.array.copy()
        self.tensor = tvm.runtime.from_dlpack(self.array)

    def intact(self) -> bool:
        """Whether both bands, and the content of a buffer that is only read, are as they were."""
        bands = (self._memory[: self._inside.start], self._memory[self._inside.stop :])
        kept = self._before is None or self._before.tobytes() == self.array.tobytes()
        return kept and all(bool((band == self._pattern).all()) for band in bands)


def run_guarded(
    kernel: Kernel, arguments: Sequence[np.ndarray], kinds: Sequence[ValueType], workspace: Workspace, twice: bool
) -> tuple[list[np.ndarray], set[str]]:
    """The results of a kernel on copies of its arguments between red zones, and what it did that is undefined.

    ``kinds`` are the types of the results; ``workspace`` gives the kernel its temporary buffers. With ``twice`` it runs
    again under a second pattern: results that differ then were made of memory that is not the kernel's. The results of
    the first pattern are returned, so that what would be garbage is the same garbage every time.
    """
    undefined: set[str] = set()
    outcomes: list[list[np.ndarray]] = []
    for pattern in _PATTERNS if twice else _PATTERNS[:1]:
        given = [Guarded(ValueType(array.shape, str(array.dtype)), pattern, array) for array in arguments]
        results = [Guarded(kind, pattern) for kind in kinds]
        workspace.fill(pattern)
        kernel.run(*(each.tensor for each in [*given, *results]))
        if not all(each.intact() for each in [*given, *results]):
            undefined.add(WRITE)
        outcomes.append([each.array for each in results])
    if twice and any(first.tobytes() != second.tobytes() for first, second in zip(*outcomes, strict=True)):
        undefined.add(READ)
    return outcomes[0], undefined

"""Red zones: bands of a known pattern around the buffers of a mutated kernel, which tell accesses outside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tvm

from tvm_mutate.evaluate.keys import Key, content_key
from tvm_mutate.evaluate.patterns import NEAR_BYTES, PATTERNS, is_filled
from tvm_mutate.evaluate.workspace import Workspace, temporary_sizes
from tvm_mutate.kernels import Kernel
from tvm_mutate.program import KernelCall, Program, ValueType

_ALIGNMENT = 64
WRITE = "write outside a buffer"
READ = "read outside a buffer, or of memory that was never written"
CONVERSION = "conversion of a number to an integer that it does not fit into"
KINDS = {"read": READ, "write": WRITE}


class Found(NamedTuple):
    """What a kernel computed, the keys of that by its bytes, and what it did that is undefined."""

    results: list[np.ndarray]
    keys: list[Key]
    undefined: set[str]


class Arena:
    """The buffers of one call of a mutated kernel, each between two bands of one byte pattern.

    It is used for one input after another. ``arguments`` and ``results`` are the types of what the kernel reads and
    writes, ``temporaries`` the sizes in bytes of the buffers that it takes from the workspace. A kernel that is proved
    to be ``harmless`` gets its arguments as they are, instead of copies, and its results lie between short bands.
    """

    def __init__(
        self,
        arguments: Sequence[ValueType],
        results: Sequence[ValueType],
        workspace: Workspace,
        temporaries: Sequence[int],
        harmless: bool = False,
    ) -> None:
        copied = [] if harmless else list(arguments)
        kinds = [*copied, *results]
        # A fault in an index may be as large as the buffer: what lies there must be the pattern's, too.
        starts, end = _places(kinds, max([NEAR_BYTES, *(kind.byte_count for kind in kinds if not harmless)]))
        self._workspace, self._temporaries, self._harmless = workspace, temporaries, harmless
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
        self._given, self._results = views[: len(copied)], views[len(copied) :]
        self._pattern = -1
        self.kernel_seconds = 0.0

    @classmethod
    def of_call(cls, step: KernelCall, program: Program, workspace: Workspace, harmless: bool = False) -> Arena:
        """The arena of a call in a program, whose kernel is structured."""
        given, results = ([program.types[each] for each in numbers] for numbers in (step.arguments, step.results))
        return cls(given, results, workspace, temporary_sizes(program.kernels[step.kernel]), harmless)

    def run(
        self, kernel: Kernel, arguments: Sequence[tvm.runtime.Tensor], thoroughly: bool, marked: Kernel | None = None
    ) -> Found:
        """What a kernel computes of its arguments.

        With ``thoroughly`` it runs under two other patterns first: results that differ then were made of memory that
        is not the kernel's. ``marked`` is the kernel with marks where conversions do not fit, as by
        ``with_marked_conversions``. The results are those of the first pattern, so that what would be garbage is the
        same garbage every time; they stay good until the next run.
        """
        undefined: set[str] = set()
        expected = None if marked is None else self._run(PATTERNS[0], marked, arguments, undefined, False)
        others = [self._run(each, kernel, arguments, undefined, True) for each in PATTERNS[1:]] if thoroughly else []
        keys = self._run(PATTERNS[0], kernel, arguments, undefined, thoroughly)
        if any(other != keys for other in others):
            undefined.add(READ)
        if expected is not None and expected != keys:
            undefined.add(CONVERSION)
        return Found(self._results, keys, undefined)

    def _run(
        self,
        pattern: int,
        kernel: Kernel,
        arguments: Sequence[tvm.runtime.Tensor],
        undefined: set[str],
        thoroughly: bool,
    ) -> list[Key]:
        self._fill(pattern)
        tensors = [*arguments, *self._tensors] if self._harmless else self._tensors
        for view, argument in zip(self._given, arguments, strict=False):  # none of a harmless kernel
            view[...] = np.from_dlpack(argument).reshape(view.shape)
        before = [content_key(view) for view in self._given]
        self.kernel_seconds += self._workspace.run(kernel.run, tensors, pattern, self._temporaries)
        if not self._intact(pattern, thoroughly) or before != [content_key(view) for view in self._given]:
            undefined.add(WRITE)
            self._pattern = -1  # what was written over has to be mended before the next run
        return [content_key(view) for view in self._results]

    def _fill(self, pattern: int) -> None:
        if self._pattern != pattern:
            self._memory[...] = pattern
            self._pattern = pattern
        for view in self._results:
            view.view(np.uint8)[...] = pattern

    def _intact(self, pattern: int, thoroughly: bool) -> bool:
        if thoroughly:
            return all(is_filled(band, pattern) for band in self._bands)
        ends = [end for band in self._bands for end in (band[:NEAR_BYTES], band[-NEAR_BYTES:])]
        return all(is_filled(end, pattern) for end in ends)


def _places(kinds: Sequence[ValueType], band: int) -> tuple[list[int], int]:
    """Where each buffer starts, and how long the memory is: a band before the first and one after each."""
    aligned = -(-band // _ALIGNMENT) * _ALIGNMENT
    starts, end = [], aligned
    for kind in kinds:
        starts.append(end)
        end += -(-kind.byte_count // _ALIGNMENT) * _ALIGNMENT + aligned
    return starts, end

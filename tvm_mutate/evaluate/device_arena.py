"""Mutated kernels on a device between bands of a known pattern, as far as these can be had there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from tvm_mutate.evaluate.device_memory import Block, DeviceMemory
from tvm_mutate.evaluate.patterns import NEAR_BYTES, PATTERNS
from tvm_mutate.evaluate.red_zones import CONVERSION, READ, WRITE
from tvm_mutate.program import ValueType


class DeviceArena:
    """The buffers of one call of a mutated kernel on a device; it is used for one input after another.

    Results begin as a pattern, so that what was never written is known. With ``banded`` arguments are copies and every
    buffer has a band behind it; before it there is none, because kernels take buffers only where an allocation begins.
    """

    def __init__(
        self, memory: DeviceMemory, arguments: Sequence[ValueType], results: Sequence[ValueType], banded: bool
    ) -> None:
        self._memory = memory
        kinds = [*arguments, *results]
        band = max([NEAR_BYTES, *(kind.byte_count for kind in kinds)]) if banded else 0
        self._given = [memory.empty(kind, band) for kind in arguments] if banded else []
        # Those of the first pattern are kept while the kernel runs under another.
        self._results = [[memory.empty(kind, band) for kind in results] for _ in range(2)]
        self._copied: list[Block | None] = [None] * len(self._given)
        self.kernel_seconds = 0.0

    def run(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Block],
        thoroughly: bool,
        marked: Callable[..., Any] | None = None,
    ) -> tuple[list[Block], set[str]]:
        """The results of a kernel, and what it did that is undefined; good until the next run.

        With ``thoroughly`` it runs under two other patterns, too: results that differ then were made of memory that is
        not the kernel's. ``marked`` is the kernel with marks where conversions do not fit.
        """
        undefined: set[str] = set()
        results, others = self._results
        self._run(PATTERNS[0], function, arguments, results, undefined)
        again = [(pattern, function, READ) for pattern in PATTERNS[1:]] if thoroughly else []
        again += [(PATTERNS[0], marked, CONVERSION)] if marked is not None else []
        for pattern, other_function, told in again:
            self._run(pattern, other_function, arguments, others, undefined)
            for one, other in zip(results, others, strict=True):
                self._memory.ask_differ(one, other)
            if any(self._memory.answers()):
                undefined.add(told)
        return results, undefined

    def _run(
        self,
        pattern: int,
        function: Callable[..., Any],
        arguments: Sequence[Block],
        results: Sequence[Block],
        undefined: set[str],
    ) -> None:
        memory = self._memory
        for at, block in enumerate(self._given):
            if self._copied[at] is not arguments[at]:
                memory.copy(arguments[at], block)
                self._copied[at] = arguments[at]
            memory.fill(block, pattern, start=block.length)
        for block in results:
            memory.fill(block, pattern)
        buffers = [*(self._given or arguments), *results]
        memory.wait()
        started = time.perf_counter()
        function(*(block.tensor for block in buffers))
        memory.wait()
        self.kernel_seconds += time.perf_counter() - started
        if not self._given:
            return
        for block, argument in zip(self._given, arguments, strict=True):
            memory.ask_differ(block, argument)
        for block in buffers:
            memory.ask_written(block, pattern)
        if any(memory.answers()):
            undefined.add(WRITE)
            self._copied = [None] * len(self._given)

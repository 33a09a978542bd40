"""The interface of a device's memory for evaluation, and red zones, which show undefined accesses.

A device of a new kind implements the three protocols. Red zones are bytes of a known pattern around the buffers of a
mutated kernel.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import xxhash

from tvm_mutate.evaluate.program import KernelCall, Program, ValueType

# A value in the memory of a device: an input, a constant, or the result of a kernel.
Value = Any
# A compiled kernel in the form that the memory of its device calls; on this machine a function of tensors.
Function = Any

WRITE = "write outside a buffer"
READ = "read outside a buffer, or of memory that was never written"
CONVERSION = "conversion of a number to an integer that it does not fit into"
KINDS = {"read": READ, "write": WRITE}

# As float32: a tiny number, and a large one of each sign that still fits into an integer. A value that is read from a
# red zone must change at least one sum, maximum or conversion.
PATTERNS = (0xA5, 0x49, 0xC9)
# Writes are checked this far around a buffer for every input: most faults miss the buffer by little.
NEAR_BYTES = 1 << 16


class GoldenRow(Protocol):
    """One input and the golden values for it, in the memory of a device."""

    def input(self, number: int) -> Value:
        """The input that is the program's value ``number``."""
        ...

    def value(self, number: int, kind: ValueType) -> Value:
        """The golden value that a kernel wrote as ``number``, under the type ``kind`` of the same length."""
        ...

    def find(self, value: Value, number: int, is_rewired: bool) -> int | None:
        """The number of a golden value with the same bits as ``value``, or None.

        If the program is not rewired, only the golden value with the same ``number`` matters.
        """
        ...


class Arena(Protocol):
    """The buffers of one call of a mutated kernel, used for one input after another."""

    kernel_seconds: float

    def run(
        self, function: Function, arguments: Sequence[Value], thoroughly: bool, marked: Function | None = None
    ) -> tuple[list[Value], set[str]]:
        """The results of the kernel, valid until the next run, and the kinds of undefined behaviour seen.

        With ``thoroughly`` the kernel also runs with the two other patterns: results that differ depend on memory
        outside the kernel's buffers. ``marked`` is the kernel with marks where a number does not fit into an integer.
        """
        ...


class Memory(Protocol):
    """Values and kernel calls on one device."""

    def view(self, value: Value, kind: ValueType) -> Value:
        """The same bytes under another type."""
        ...

    def empty(self, kind: ValueType) -> Value:
        """A value with undefined content."""
        ...

    def launch(
        self, function: Function, arguments: Sequence[Value], results: Sequence[Value], scalars: Sequence[int] = ()
    ) -> None:
        """Calls a kernel with its arguments, its numbers and its results, in this order.

        On an asynchronous device the kernel may still run when the call returns.
        """
        ...

    def wait(self) -> None:
        """Waits until all launched kernels have ended; raises their errors."""
        ...

    def arena(self, call: KernelCall, program: Program, harmless: bool) -> Arena:
        """The buffers for a call of a mutated kernel; ``harmless`` if it is proved to stay inside its buffers."""
        ...

    def read(self, value: Value) -> np.ndarray:
        """The content of a value, as an array that stays valid only as long as the value."""
        ...


def is_filled(memory: np.ndarray, pattern: int) -> bool:
    """Whether contiguous bytes all have the pattern."""
    return xxhash.xxh3_64_intdigest(memory.data) == _digest_of_filled(memory.size, pattern)


@functools.lru_cache(maxsize=256)
def _digest_of_filled(count: int, pattern: int) -> int:
    return xxhash.xxh3_64_intdigest(np.full(count, pattern, np.uint8).data)

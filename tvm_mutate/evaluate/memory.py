"""The memory and kernels of a device, as evaluation needs them; a device of a new kind implements these classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from tvm_mutate.evaluate.program import KernelCall, Program, ValueType

# A value in the memory of a device: an input, a constant, or the result of a kernel.
Value = TypeVar("Value")
# A compiled kernel in the form that the memory of its device calls; on this machine a function of tensors.
Function = Any


class GoldenRow(Protocol[Value]):
    """One input and the golden values for it, in the memory of a device."""

    def input(self, number: int) -> Value:
        """The input that is the program's value ``number``."""
        ...

    def value(self, number: int, kind: ValueType) -> Value:
        """The golden value that a kernel wrote as ``number``, under the type ``kind`` of the same length."""
        ...

    def find(self, value: Value, number: int, is_rewired: bool) -> int | None:
        """The number of a golden value with the same bits as ``value``, or None.

        In a program that is not rewired only the value with the same ``number`` is of interest.
        """
        ...


class Arena(Protocol[Value]):
    """The buffers of one call of a mutated kernel, used for one input after another."""

    kernel_seconds: float

    def run(
        self, function: Function, arguments: Sequence[Value], thoroughly: bool, marked: Function | None = None
    ) -> tuple[list[Value], set[str]]:
        """The results of the kernel, valid until the next run, and the kinds of undefined behaviour seen.

        With ``thoroughly`` the kernel also runs with the two other patterns: results that differ depend on memory that
        is not the kernel's own. ``marked`` is the kernel with marks where a conversion to an integer does not fit.
        """
        ...


class Memory(Protocol[Value]):
    """Values and kernel calls on one device."""

    def view(self, value: Value, kind: ValueType) -> Value:
        """The same bytes under another type."""
        ...

    def empty(self, kind: ValueType) -> Value:
        """A value with undefined content."""
        ...

    def launch(self, function: Function, arguments: Sequence[Value], results: Sequence[Value]) -> None:
        """Calls a kernel; on an asynchronous device the kernel may still run when the call returns."""
        ...

    def wait(self) -> None:
        """Waits until all launched kernels have ended; raises their errors."""
        ...

    def arena(self, call: KernelCall, program: Program, harmless: bool) -> Arena[Value]:
        """The buffers for a call of a mutated kernel; ``harmless`` if it is proved to stay inside its buffers."""
        ...

    def read(self, value: Value) -> np.ndarray:
        """The content of a value, as an array that stays valid only as long as the value."""
        ...

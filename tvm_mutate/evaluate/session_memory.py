"""The memory of a device in a session: values stay and are compared on the device; only the answers are sent back."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm

from tvm_mutate.evaluate.memory import CONVERSION, NEAR_BYTES, PATTERNS, READ, WRITE, Function
from tvm_mutate.evaluate.program import KernelCall, Program, ValueType
from tvm_mutate.kernels.memory_kernels import CHECKSUM, FILL, OTHER_THAN, SCRATCH_WORDS, SLOTS, TOGETHER, differ
from tvm_mutate.samples import as_bytes

_WORD = 4


@dataclass(frozen=True)
class Block:
    """A value on a device at the beginning of ``words``, 32 bits each; the words behind the value may be a band."""

    words: tvm.runtime.Tensor
    kind: ValueType

    @property
    def tensor(self) -> tvm.runtime.Tensor:
        """The value as kernels take it."""
        return self.words._create_view(self.kind.shape, self.kind.dtype)

    @property
    def length(self) -> int:
        """The number of words of the value; the last word may be filled in part."""
        return word_count(self.kind)

    def as_type(self, kind: ValueType) -> Block:
        """The same bytes as a value of another type."""
        return Block(self.words, kind)

    def flat(self, dtype: str) -> tvm.runtime.Tensor:
        """The value's bytes as ``uint8``, or its words as ``uint32``, without the band."""
        count = self.length if dtype == "uint32" else self.kind.byte_count
        return self.words._create_view((count,), dtype)


class SessionMemory:
    """The memory of one device; ``kernels`` are the loaded kernels that work on its words.

    A block begins at the beginning of an allocation, because kernels without checks ignore a byte offset.
    ``is_asynchronous`` says whether a kernel may still run when its call returns.
    """

    def __init__(self, device: tvm.runtime.Device, kernels: tvm.runtime.Module, is_asynchronous: bool) -> None:
        self.device, self._is_asynchronous = device, is_asynchronous
        self._differ = {dtype: kernels[differ(dtype)] for dtype in ("uint32", "uint8")}
        self._fill, self._other_than = kernels[FILL], kernels[OTHER_THAN]
        self._checksum = kernels[CHECKSUM]
        self._found = tvm.runtime.empty((SLOTS,), "int32", device)
        self._sums = tvm.runtime.empty((SLOTS,), "uint32", device)
        self._scratch = tvm.runtime.empty((SCRATCH_WORDS,), "uint32", device)
        self._nothing = tvm.runtime.tensor(np.zeros(1, np.uint32), device)
        self._asked: list[int] = []

    def empty(self, kind: ValueType, band_bytes: int = 0) -> Block:
        """A value with undefined content and a band of at least ``band_bytes`` behind it."""
        count = max(word_count(kind) + -(-band_bytes // _WORD), 1)
        return Block(tvm.runtime.empty((count,), "uint32", self.device), kind)

    def view(self, value: Block, kind: ValueType) -> Block:
        """The same bytes under another type."""
        return value.as_type(kind)

    def launch(
        self, function: Function, arguments: Sequence[Block], results: Sequence[Block], scalars: Sequence[int] = ()
    ) -> None:
        """Calls a kernel; on an asynchronous device the kernel may still run when the call returns."""
        function(*(block.tensor for block in arguments), *scalars, *(block.tensor for block in results))

    def arena(self, call: KernelCall, program: Program, harmless: bool) -> SessionArena:
        """The buffers for a call of a mutated kernel."""
        arguments, results = ([program.types[each] for each in numbers] for numbers in (call.arguments, call.results))
        return SessionArena(self, arguments, results, call.scalars, banded=not harmless)

    def read(self, value: Block) -> np.ndarray:
        """The content of a value, copied from the device."""
        return np.ascontiguousarray(value.tensor.numpy())

    def upload(self, array: np.ndarray) -> Block:
        """A value with the content of an array."""
        kind = ValueType(tuple(array.shape), array.dtype.name)
        content = np.zeros(max(word_count(kind), 1) * _WORD, np.uint8)
        content[: kind.byte_count] = as_bytes(array)
        return Block(tvm.runtime.tensor(content.view(np.uint32), self.device), kind)

    def copy(self, source: Block, destination: Block) -> None:
        """Copies a value to another of the same length."""
        source.flat("uint32").copyto(destination.flat("uint32"))

    def fill(self, block: Block, pattern: int, start: int = 0) -> None:
        """Fills the words of a block and its band from ``start`` on with a byte."""
        self._fill(block.words, start, _as_word(pattern))

    def ask_differ(self, first: Block, second: Block) -> None:
        """Asks whether the bits of two values of the same length in bytes differ."""
        dtype = "uint8" if first.kind.byte_count % _WORD else "uint32"
        self._differ[dtype](first.flat(dtype), second.flat(dtype), self._found, self._slot())

    def ask_written(self, block: Block, pattern: int) -> None:
        """Asks whether a byte in the band behind a value differs from the pattern."""
        self._other_than(block.words, block.length, _as_word(pattern), self._found, self._slot())

    def answers(self) -> list[bool]:
        """The answers to the questions since the last call, in order; waits for the device."""
        found = self._found.numpy() if self._asked else ()
        answers = [bool(found[slot]) for slot in self._asked]
        self._asked = []
        return answers

    def checksums(self, blocks: Sequence[Block]) -> list[int]:
        """A checksum of the words of each block."""
        sums: list[int] = []
        for at in range(0, len(blocks), TOGETHER):
            words: list[Any] = [block.words for block in blocks[at : at + TOGETHER]]
            padding = [self._nothing] * (TOGETHER - len(words))
            self._checksum(*words, *padding, self._scratch, self._sums)
            sums += self._sums.numpy()[: len(words)].tolist()
        return sums

    def wait(self) -> None:
        """Waits until all launched kernels have ended; raises their errors."""
        if self._is_asynchronous:
            self.device.sync()

    def _slot(self) -> int:
        self._asked.append(len(self._asked))
        assert len(self._asked) <= SLOTS
        return self._asked[-1]


class SessionArena:
    """The buffers of one call of a mutated kernel on a device.

    Results start as a pattern, which shows values that are never written. With ``banded`` the arguments are copies and
    every buffer has a band behind it, but not before it: kernels take buffers only at the beginning of an allocation.
    """

    def __init__(
        self,
        memory: SessionMemory,
        arguments: Sequence[ValueType],
        results: Sequence[ValueType],
        scalars: Sequence[int],
        banded: bool,
    ) -> None:
        self._memory, self._scalars = memory, scalars
        kinds = [*arguments, *results]
        band = max([NEAR_BYTES, *(kind.byte_count for kind in kinds)]) if banded else 0
        self._copies = [memory.empty(kind, band) for kind in arguments] if banded else []
        # The results under the first pattern are kept while the kernel runs under another.
        self._results = [[memory.empty(kind, band) for kind in results] for _ in range(2)]
        self._copied: list[Block | None] = [None] * len(self._copies)
        self.kernel_seconds = 0.0

    def run(
        self, function: Function, arguments: Sequence[Block], thoroughly: bool, marked: Function | None = None
    ) -> tuple[list[Block], set[str]]:
        """The results of the kernel under the first pattern, and the kinds of undefined behaviour seen."""
        undefined: set[str] = set()
        results, others = self._results
        self._run(PATTERNS[0], function, arguments, results, undefined)
        again = [(pattern, function, READ) for pattern in PATTERNS[1:]] if thoroughly else []
        again += [(PATTERNS[0], marked, CONVERSION)] if marked is not None else []
        for pattern, other_function, kind in again:
            self._run(pattern, other_function, arguments, others, undefined)
            for one, other in zip(results, others, strict=True):
                self._memory.ask_differ(one, other)
            if any(self._memory.answers()):
                undefined.add(kind)
        return results, undefined

    def _run(
        self,
        pattern: int,
        function: Function,
        arguments: Sequence[Block],
        results: Sequence[Block],
        undefined: set[str],
    ) -> None:
        memory = self._memory
        for at, block in enumerate(self._copies):
            if self._copied[at] is not arguments[at]:
                memory.copy(arguments[at], block)
                self._copied[at] = arguments[at]
            memory.fill(block, pattern, start=block.length)
        for block in results:
            memory.fill(block, pattern)
        given = self._copies or arguments
        memory.wait()
        started = time.perf_counter()
        memory.launch(function, given, results, self._scalars)
        memory.wait()
        self.kernel_seconds += time.perf_counter() - started
        if not self._copies:
            return
        for block, argument in zip(self._copies, arguments, strict=True):
            memory.ask_differ(block, argument)
        for block in (*given, *results):
            memory.ask_written(block, pattern)
        if any(memory.answers()):
            undefined.add(WRITE)
            self._copied = [None] * len(self._copies)


class SessionRow:
    """One input and its golden values in the memory of a device; ``blocks`` holds both by number."""

    def __init__(self, memory: SessionMemory, program: Program, blocks: Mapping[int, Block]) -> None:
        self._memory, self.blocks = memory, blocks
        self._golden = {number: block for number, block in blocks.items() if number not in program.inputs}

    def input(self, number: int) -> Block:
        """The input that is the program's value ``number``."""
        return self.blocks[number]

    def value(self, number: int, kind: ValueType) -> Block:
        """The golden value that a kernel wrote as ``number``, under the type ``kind``."""
        return self.blocks[number].as_type(kind)

    def find(self, value: Block, number: int, is_rewired: bool) -> int | None:
        """The number of a golden value with the same bits as ``value``, compared on the device, or None."""
        candidates = [number]
        if is_rewired:
            length = value.kind.byte_count
            candidates = [each for each, block in self._golden.items() if block.kind.byte_count == length]
        for at in range(0, len(candidates), SLOTS):
            chosen = candidates[at : at + SLOTS]
            for each in chosen:
                self._memory.ask_differ(value, self._golden[each])
            for each, differs in zip(chosen, self._memory.answers(), strict=True):
                if not differs:
                    return each
        return None


def word_count(kind: ValueType) -> int:
    """The number of words of a value."""
    return -(-kind.byte_count // _WORD)


def byte_count(blocks: Iterable[Block]) -> int:
    """The number of bytes of blocks with their bands."""
    return sum(_WORD * int(block.words.shape[0]) for block in blocks)


def _as_word(pattern: int) -> int:
    return pattern * 0x01010101

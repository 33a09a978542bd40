"""Values in the memory of a device, compared, filled and checked there: over RPC only the answers travel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm

from tvm_mutate.kernels import SCRATCH_WORDS, SLOTS, TOGETHER, MemoryKernels
from tvm_mutate.program import ValueType

_WORD = 4
_NAMES = MemoryKernels()


@dataclass(frozen=True)
class Block:
    """A value on a device: whole words, of which the value is the beginning; ``words`` behind it may be a band."""

    words: tvm.runtime.Tensor
    kind: ValueType

    @property
    def tensor(self) -> tvm.runtime.Tensor:
        """The value as kernels take it."""
        return self.words._create_view(self.kind.shape, self.kind.dtype)

    @property
    def length(self) -> int:
        """How many words the value takes, the last of which it may not fill."""
        return word_count(self.kind)

    def as_type(self, kind: ValueType) -> Block:
        """The same bytes as a value of another type."""
        return Block(self.words, kind)

    def flat(self, dtype: str) -> tvm.runtime.Tensor:
        """The value's bytes as ``uint8``, or its words as ``uint32``, without the band."""
        count = self.length if dtype == "uint32" else self.kind.byte_count
        return self.words._create_view((count,), dtype)


class DeviceMemory:
    """The memory of one device, and the kernels on its words that were loaded there.

    A block begins where an allocation does: kernels that are built without checks take no notice of an offset in bytes.
    ``is_asynchronous`` says whether a kernel may still run when its call is over.
    """

    def __init__(self, device: tvm.runtime.Device, kernels: tvm.runtime.Module, is_asynchronous: bool) -> None:
        self.device, self._is_asynchronous = device, is_asynchronous
        self._differ = {dtype: kernels[_NAMES.differ(dtype)] for dtype in ("uint32", "uint8")}
        self._fill, self._other_than = kernels[_NAMES.fill], kernels[_NAMES.other_than]
        self._checksum = kernels[_NAMES.checksum]
        self._found = tvm.runtime.empty((SLOTS,), "int32", device)
        self._sums = tvm.runtime.empty((SLOTS,), "uint32", device)
        self._scratch = tvm.runtime.empty((SCRATCH_WORDS,), "uint32", device)
        self._nothing = tvm.runtime.tensor(np.zeros(1, np.uint32), device)
        self._asked: list[int] = []

    def empty(self, kind: ValueType, band_bytes: int = 0) -> Block:
        """A value whose content is undefined, with a band of so many bytes behind it."""
        count = max(word_count(kind) + -(-band_bytes // _WORD), 1)
        return Block(tvm.runtime.empty((count,), "uint32", self.device), kind)

    def upload(self, array: np.ndarray) -> Block:
        """A value with the content of an array."""
        kind = ValueType(tuple(array.shape), str(array.dtype))
        content = np.zeros(max(word_count(kind), 1) * _WORD, np.uint8)
        content[: kind.byte_count] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return Block(tvm.runtime.tensor(content.view(np.uint32), self.device), kind)

    def copy(self, source: Block, destination: Block) -> None:
        """Gives a value the content of another of the same length."""
        source.flat("uint32").copyto(destination.flat("uint32"))

    def fill(self, block: Block, pattern: int, start: int = 0) -> None:
        """Fills the words of a block and of its band from ``start`` on with a byte."""
        self._fill(block.words, start, _as_word(pattern))

    def ask_differ(self, first: Block, second: Block) -> None:
        """Asks whether two values of the same length in bytes have other bits."""
        dtype = "uint8" if first.kind.byte_count % _WORD else "uint32"
        self._differ[dtype](first.flat(dtype), second.flat(dtype), self._found, self._slot())

    def ask_written(self, block: Block, pattern: int) -> None:
        """Asks whether the band behind a value is not all of a byte any more."""
        self._other_than(block.words, block.length, _as_word(pattern), self._found, self._slot())

    def answers(self) -> list[bool]:
        """The answers to what was asked since, in order; waits for the device."""
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
        """Waits until the device has done all that it was told; raises what it came to."""
        if self._is_asynchronous:
            self.device.sync()

    def _slot(self) -> int:
        self._asked.append(len(self._asked))
        assert len(self._asked) <= SLOTS
        return self._asked[-1]


def word_count(kind: ValueType) -> int:
    """How many words a value takes."""
    return -(-kind.byte_count // _WORD)


def byte_count(blocks: Iterable[Block]) -> int:
    """How many bytes blocks take with their bands."""
    return sum(_WORD * int(block.words.shape[0]) for block in blocks)


def _as_word(pattern: int) -> int:
    return pattern * 0x01010101

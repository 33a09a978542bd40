"""Kernels on the words of device memory: whether two values have the same bits, patterns, and checksums.

What they find goes into one element of a small buffer, so that only that has to come back from the device.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import tvm
from tvm.target import Target
from tvm.tirx import PrimFunc

# The elements of the buffers for what is found.
SLOTS = 64
# How many buffers one checksum call takes: over RPC a call costs more than what it does.
TOGETHER = 16
# What a GPU runs side by side.
_BLOCKS, _THREADS = 64, 256
_WIDTH = _BLOCKS * _THREADS
# So many words a call of a checksum kernel needs to itself.
SCRATCH_WORDS = _WIDTH
_CPU_KINDS = ("llvm", "c")


@dataclass(frozen=True)
class MemoryKernels:
    """The names of the kernels, each for flat buffers of any length.

    ``differ[dtype](a, b, found, slot)`` sets ``found[slot]`` to 0 where all words are the same and else to another
    number; ``other_than(a, start, pattern, found, slot)`` likewise for words from ``start`` on that are not the
    pattern; ``fill(a, start, pattern)`` writes it; ``checksum(a..., scratch, sums)`` of :data:`TOGETHER` buffers puts
    the sum of each into an element of ``sums``.
    """

    fill: str = "tvm_mutate_fill"
    other_than: str = "tvm_mutate_other_than"
    checksum: str = "tvm_mutate_checksum"

    @staticmethod
    def differ(dtype: str) -> str:
        """The name of the kernel that compares words of a dtype: ``uint32`` or ``uint8``."""
        return f"tvm_mutate_differ_{dtype}"


def memory_kernels(target: Target) -> dict[str, PrimFunc]:
    """The kernels as PrimFuncs for a kind of target, by name: plain loops, or threads bound to a GPU."""
    loops: _Loops = _CpuLoops() if target.kind.name in _CPU_KINDS else _GpuLoops()
    names = MemoryKernels()
    found = [f'found: T.Buffer(({SLOTS},), "int32")', "slot: T.int32"]
    pattern = ["start: T.int64", "pattern: T.uint32"]
    kernels = {
        names.differ(dtype): _function(
            ["a: T.handle", "b: T.handle", *found],
            [*_buffers("ab", dtype), *loops.reset(), *loops.each("B_a", loops.mark("B_a[i] != B_b[i]"))],
        )
        for dtype in ("uint32", "uint8")
    }
    kernels[names.fill] = _function(
        ["a: T.handle", *pattern], [*_buffers("a"), *loops.each("B_a", ["if i >= start:", "    B_a[i] = pattern"])]
    )
    kernels[names.other_than] = _function(
        ["a: T.handle", *pattern, *found],
        [*_buffers("a"), *loops.reset(), *loops.each("B_a", loops.mark("i >= start and B_a[i] != pattern"))],
    )
    many = [f"a{number}" for number in range(TOGETHER)]
    sums = [line for number, name in enumerate(many) for line in loops.sum_of(f"B_{name}", number)]
    kernels[names.checksum] = _function(
        [
            *(f"{name}: T.handle" for name in many),
            f'scratch: T.Buffer(({SCRATCH_WORDS},), "uint32")',
            f'sums: T.Buffer(({SLOTS},), "uint32")',
        ],
        [*_buffers(many), *sums],
    )
    return {name: function.with_attr("global_symbol", name) for name, function in kernels.items()}


def _function(parameters: Sequence[str], body: Sequence[str]) -> PrimFunc:
    lines = textwrap.indent("\n".join(body), "    ")
    return tvm.script.from_source(f"@T.prim_func\ndef main({', '.join(parameters)}):\n{lines}\n")


def _buffers(names: Sequence[str], dtype: str = "uint32") -> list[str]:
    """Buffers of the same length where they are compared, and of one each where not."""
    lengths = dict.fromkeys(("n",) if len(names) == 2 else (f"n_{name}" for name in names))
    lines = [f"{length} = T.int64()" for length in lengths]
    for name in names:
        length = "n" if len(names) == 2 else f"n_{name}"
        lines.append(f'B_{name} = T.match_buffer({name}, ({length},), "{dtype}")')
    return lines


def _term(buffer: str) -> str:
    # A word changed by itself always changes the sum, for every factor is odd.
    return f"{buffer}[i] * (T.Cast('uint32', i) * T.uint32(2654435762) + T.uint32(1))"


class _Loops:
    """How a loop over a buffer is written for a kind of target, and how what it finds is put down."""

    def reset(self) -> list[str]:
        raise NotImplementedError

    def each(self, buffer: str, body: Sequence[str]) -> list[str]:
        """The body for every index ``i`` of a buffer."""
        raise NotImplementedError

    def mark(self, condition: str) -> list[str]:
        raise NotImplementedError

    def sum_of(self, buffer: str, number: int) -> list[str]:
        raise NotImplementedError


class _CpuLoops(_Loops):
    def reset(self) -> list[str]:
        return ["found[slot] = 0"]

    def each(self, buffer: str, body: Sequence[str]) -> list[str]:
        return [f"for i in range({buffer}.shape[0]):", *(f"    {line}" for line in body)]

    def mark(self, condition: str) -> list[str]:
        # No branch and no end before the last: LLVM makes vectors of it.
        return [f"found[slot] = T.bitwise_or(found[slot], T.Select({condition}, 1, 0))"]

    def sum_of(self, buffer: str, number: int) -> list[str]:
        body = [f"sums[{number}] = sums[{number}] + {_term(buffer)}"]
        return [f"sums[{number}] = T.uint32(0)", *self.each(buffer, body)]


class _GpuLoops(_Loops):
    def reset(self) -> list[str]:
        return [*_bound(1, 1), "        found[slot] = 0"]

    def each(self, buffer: str, body: Sequence[str]) -> list[str]:
        return _strided(buffer, body)

    def mark(self, condition: str) -> list[str]:
        # Whichever thread writes last writes the same.
        return [f"if {condition}:", "    found[slot] = 1"]

    def sum_of(self, buffer: str, number: int) -> list[str]:
        at = f"x * {_THREADS} + t"
        first = [f"scratch[{at}] = T.uint32(0)"]
        partial = [f"scratch[{at}] = scratch[{at}] + {_term(buffer)}"]
        rows = [f"for k in range({_BLOCKS - 1}):", f"    scratch[t] = scratch[t] + scratch[(k + 1) * {_THREADS} + t]"]
        last = [
            f"sums[{number}] = T.uint32(0)",
            f"for k in range({_THREADS}):",
            f"    sums[{number}] = sums[{number}] + scratch[k]",
        ]
        return [
            *_strided(buffer, partial, first),
            *_bound(1, _THREADS),
            *(f"        {line}" for line in rows),
            *_bound(1, 1),
            *(f"        {line}" for line in last),
        ]


def _bound(blocks: int, threads: int) -> list[str]:
    return [
        f'for x in T.thread_binding({blocks}, thread="blockIdx.x"):',
        f'    for t in T.thread_binding({threads}, thread="threadIdx.x"):',
    ]


def _strided(buffer: str, body: Sequence[str], before: Sequence[str] = ()) -> list[str]:
    """The body for every index, each thread taking every so-manieth."""
    length = f"{buffer}.shape[0]"
    index = f"k * T.int64({_WIDTH}) + T.Cast('int64', x * {_THREADS} + t)"
    inner = [f"if {index} < {length}:", *(f"    {line}" for line in body)]
    named = [line.replace("[i]", f"[{index}]").replace("'uint32', i)", f"'uint32', {index})") for line in inner]
    named = [line.replace("i >= start", f"{index} >= start") for line in named]
    loop = [f"for k in range(({length} + T.int64({_WIDTH - 1})) // T.int64({_WIDTH})):"]
    return [
        *_bound(_BLOCKS, _THREADS),
        *(f"        {line}" for line in before),
        *(f"        {line}" for line in loop),
        *(f"            {line}" for line in named),
    ]

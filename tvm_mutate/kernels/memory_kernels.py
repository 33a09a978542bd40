"""Kernels on the words of device memory: comparison of two values, patterns, and checksums.

Each kernel works on flat buffers of any length and writes its result to one element of a small buffer, so that only
this buffer is copied from the device:

* ``differ(dtype)(a, b, found, slot)`` sets ``found[slot]`` to 0 if all words are equal, else to another number;
* ``OTHER_THAN(a, start, pattern, found, slot)`` does so for words from ``start`` on that differ from the pattern;
* ``FILL(a, start, pattern)`` writes the pattern;
* ``CHECKSUM(a..., scratch, sums)`` takes :data:`TOGETHER` buffers and writes the sum of each to an element of ``sums``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import tvm
from tvm.target import Target
from tvm.tirx import PrimFunc

FILL, OTHER_THAN, CHECKSUM = "tvm_mutate_fill", "tvm_mutate_other_than", "tvm_mutate_checksum"
# The number of elements of a buffer for results.
SLOTS = 64
# The number of buffers of one checksum call: over RPC, a call costs more than its work.
TOGETHER = 16
# The blocks and threads that a GPU runs in parallel.
_BLOCKS, _THREADS = 64, 256
_WIDTH = _BLOCKS * _THREADS
# The number of words that a checksum kernel needs for itself.
SCRATCH_WORDS = _WIDTH
_CPU_KINDS = ("llvm", "c")


def differ(dtype: str) -> str:
    """The name of the kernel that compares words of a dtype: ``uint32`` or ``uint8``."""
    return f"tvm_mutate_differ_{dtype}"


def memory_kernels(target: Target) -> dict[str, PrimFunc]:
    """The kernels as PrimFuncs for a target, by name: plain loops, or threads of a GPU."""
    loops = _CpuLoops() if target.kind.name in _CPU_KINDS else _GpuLoops()
    found = [f'found: T.Buffer(({SLOTS},), "int32")', "slot: T.int32"]
    pattern = ["start: T.int64", "pattern: T.uint32"]
    kernels = {
        differ(dtype): _function(
            ["a: T.handle", "b: T.handle", *found],
            [*_buffers("ab", dtype), *loops.reset(), *loops.each("B_a", loops.mark("B_a[i] != B_b[i]"))],
        )
        for dtype in ("uint32", "uint8")
    }
    kernels[FILL] = _function(
        ["a: T.handle", *pattern], [*_buffers("a"), *loops.each("B_a", ["if i >= start:", "    B_a[i] = pattern"])]
    )
    kernels[OTHER_THAN] = _function(
        ["a: T.handle", *pattern, *found],
        [*_buffers("a"), *loops.reset(), *loops.each("B_a", loops.mark("i >= start and B_a[i] != pattern"))],
    )
    many = [f"a{number}" for number in range(TOGETHER)]
    sums = [line for number, name in enumerate(many) for line in loops.sum_of(f"B_{name}", number)]
    kernels[CHECKSUM] = _function(
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
    """Declares buffers: two buffers have the same length, others have their own lengths."""
    lengths = dict.fromkeys(("n",) if len(names) == 2 else (f"n_{name}" for name in names))
    lines = [f"{length} = T.int64()" for length in lengths]
    for name in names:
        length = "n" if len(names) == 2 else f"n_{name}"
        lines.append(f'B_{name} = T.match_buffer({name}, ({length},), "{dtype}")')
    return lines


def _term(buffer: str) -> str:
    # A change of a single word always changes the sum, because every factor is odd.
    return f"{buffer}[i] * (T.Cast('uint32', i) * T.uint32(2654435762) + T.uint32(1))"


class _CpuLoops:
    """Code on a CPU: a loop over every index ``i`` of a buffer, and how it notes a finding."""

    def reset(self) -> list[str]:
        return ["found[slot] = 0"]

    def each(self, buffer: str, body: Sequence[str]) -> list[str]:
        return [f"for i in range({buffer}.shape[0]):", *(f"    {line}" for line in body)]

    def mark(self, condition: str) -> list[str]:
        # Without a branch or an early exit, LLVM vectorises the loop.
        return [f"found[slot] = T.bitwise_or(found[slot], T.Select({condition}, 1, 0))"]

    def sum_of(self, buffer: str, number: int) -> list[str]:
        body = [f"sums[{number}] = sums[{number}] + {_term(buffer)}"]
        return [f"sums[{number}] = T.uint32(0)", *self.each(buffer, body)]


class _GpuLoops:
    """The same code for the threads of a GPU."""

    def reset(self) -> list[str]:
        return [*_bound(1, 1), "        found[slot] = 0"]

    def each(self, buffer: str, body: Sequence[str]) -> list[str]:
        return _strided(buffer, body)

    def mark(self, condition: str) -> list[str]:
        # All threads write the same number.
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
    """The body for every index, spread over all threads."""
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

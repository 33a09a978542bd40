"""Red zones: bytes of a known pattern around the buffers of a mutated kernel, which show undefined accesses."""

from __future__ import annotations

import functools

import numpy as np
import xxhash

WRITE = "write outside a buffer"
READ = "read outside a buffer, or of memory that was never written"
CONVERSION = "conversion of a number to an integer that it does not fit into"
KINDS = {"read": READ, "write": WRITE}

# As float32 a tiny number, and one of each sign that is large and still survives a cast to an integer: a value that is
# read from a red zone must not be lost in every sum, maximum or conversion.
PATTERNS = (0xA5, 0x49, 0xC9)
# How far around a buffer every input is checked for writes: most faults miss the buffer by little.
NEAR_BYTES = 1 << 16


def is_filled(memory: np.ndarray, pattern: int) -> bool:
    """Whether contiguous bytes all have the pattern."""
    return xxhash.xxh3_64_intdigest(memory.data) == _digest_of_filled(memory.size, pattern)


@functools.lru_cache(maxsize=256)
def _digest_of_filled(count: int, pattern: int) -> int:
    return xxhash.xxh3_64_intdigest(np.full(count, pattern, np.uint8).data)

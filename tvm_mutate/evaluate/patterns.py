"""Patterns of bytes that memory is filled with around and under what a mutated kernel computes."""

from __future__ import annotations

import functools

import numpy as np
import xxhash

# As float32 a tiny number, and one of each sign that is large and still survives a cast to an integer: what is read
# must not be lost in a sum, a maximum or a conversion every time.
PATTERNS = (0xA5, 0x49, 0xC9)
# How far from a buffer it is looked, for every input, whether something was written: most faults miss by little.
NEAR_BYTES = 1 << 16


def is_filled(memory: np.ndarray, pattern: int) -> bool:
    """Whether contiguous bytes are all the pattern's."""
    return xxhash.xxh3_64_intdigest(memory.data) == _digest_of_filled(memory.size, pattern)


@functools.lru_cache(maxsize=256)
def _digest_of_filled(count: int, pattern: int) -> int:
    return xxhash.xxh3_64_intdigest(np.full(count, pattern, np.uint8).data)

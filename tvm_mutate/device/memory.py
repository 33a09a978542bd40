"""How much memory this machine has, and how much of it a mutant may take."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_LIMIT_OF_GROUP = Path("/sys/fs/cgroup/memory.max")
_LEAST_HEADROOM_BYTES = 2 << 30


def machine_memory() -> int:
    """The bytes of memory of this machine, or of the container that this process is in."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        return min(memory, int(_LIMIT_OF_GROUP.read_text()))
    return memory


def mutant_headroom() -> int:
    """The bytes that evaluating a mutant may take beyond what it inherits: half of the machine's, at least 2 GiB.

    That is far more than any model's build needs, and less than ends the campaign with the mutant.
    """
    return max(machine_memory() // 2, _LEAST_HEADROOM_BYTES)

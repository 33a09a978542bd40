"""How much memory a campaign may take, and what of it is for golden values."""

from __future__ import annotations

import re

from tvm_mutate.device import machine_memory
from tvm_mutate.errors import UsageError

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# A worker with TVM, a lowered model, its compiled kernels and a child that evaluates a mutant.
WORKER_BYTES = 640 << 20
# The process that conducts the campaign, with TVM and all inputs.
CAMPAIGN_BYTES = 512 << 20
_LEAST_GOLDEN_BYTES = 64 << 20


def parse_size(text: str) -> int:
    """A number of bytes written as ``800M`` or ``1.5G`` (units K, M, G, T, powers of 1024); raises UsageError."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise UsageError(f"--memory {text!r} is not a size; write one such as 800M or 4G")
    return size


def format_size(size: int) -> str:
    """A number of bytes as a whole number of M, rounded up, or of G where it is one."""
    return f"{size >> 30}G" if size % (1 << 30) == 0 else f"{-(-size >> 20)}M"


def golden_bytes(memory: int | None, workers: int) -> int:
    """The bytes for golden values in a campaign that may take ``memory`` bytes: what its processes leave.

    By default a campaign takes a quarter of the machine's memory, at least half of that for golden values. Raises
    UsageError where ``memory`` leaves too little.
    """
    reserve = CAMPAIGN_BYTES + workers * WORKER_BYTES
    if memory is None:
        quarter = machine_memory() // 4
        return max(quarter - reserve, quarter // 2)
    if memory < reserve + _LEAST_GOLDEN_BYTES:
        counted = "1 worker needs" if workers == 1 else f"{workers} workers need"
        raise UsageError(
            f"--memory {format_size(memory)} is too small: {counted} {format_size(reserve)} with the campaign itself, "
            f"golden values the rest; give at least {format_size(reserve + _LEAST_GOLDEN_BYTES)}, or fewer --workers"
        )
    return memory - reserve

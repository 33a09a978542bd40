"""The store of compiled kernels on disk: limited in size, shared by all campaigns of a user, checked at every read."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import Any

import diskcache
import platformdirs

LIMIT_BYTES = 1 << 30
_DIGEST_BYTES = 32
_FAULTS = (OSError, sqlite3.Error, diskcache.Timeout, ValueError)


class _BytesDisk(diskcache.Disk):
    """Bytes and text only: other programs may write to the cache, so no entry is unpickled."""

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode == diskcache.core.MODE_PICKLE:
            raise ValueError("an entry of the kernel store is no bytes")
        return super().fetch(mode, filename, value, read)


class KernelStore:
    """Bytes by key in a folder; the least recently used entries are deleted beyond ``limit_bytes``.

    Any number of processes use one folder at once (SQLite). An unusable store or a changed entry counts as empty:
    kernels are compiled again, and no error is raised.
    """

    def __init__(self, folder: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._cache: diskcache.Cache | None = None
        try:
            self._cache = diskcache.Cache(
                str(folder), disk=_BytesDisk, size_limit=limit_bytes, eviction_policy="least-recently-used"
            )
        except _FAULTS:
            return

    def get(self, key: str) -> bytes | None:
        """The bytes under a key, or None."""
        try:
            kept = None if self._cache is None else self._cache.get(key)
        except _FAULTS:
            return None
        if not isinstance(kept, bytes) or hashlib.sha256(kept[_DIGEST_BYTES:]).digest() != kept[:_DIGEST_BYTES]:
            return None
        return kept[_DIGEST_BYTES:]

    def put(self, key: str, content: bytes) -> None:
        """Stores bytes under a key, if the store is usable."""
        try:
            if self._cache is not None:
                self._cache.set(key, hashlib.sha256(content).digest() + content)
        except _FAULTS:
            return

    def close(self) -> None:
        """Closes the files."""
        if self._cache is not None:
            self._cache.close()


def user_kernel_store() -> KernelStore:
    """The store in the user's cache folder (``$XDG_CACHE_HOME/tvm_mutate`` on Linux)."""
    return KernelStore(platformdirs.user_cache_path("tvm_mutate") / "kernels")

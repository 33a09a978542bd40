"""Files that are either wholly written or not touched."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from tvm_mutate.errors import UsageError


def write_whole(path: Path, parts: Iterable[str]) -> Path:
    """Writes a text file in one step: whatever goes wrong, and whenever, an older file of that name stays as it was.

    The folder is made if it is missing. Raises UsageError where the system does not let the file be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(temporary, parts)
            os.replace(temporary, path)  # noqa: PTH105
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror or error})") from None
    return path


def _write(path: Path, parts: Iterable[str]) -> None:
    # A reason can quote text that is not valid Unicode; it is escaped, never the end of a report.
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        file.writelines(parts)
        file.flush()
        os.fsync(file.fileno())

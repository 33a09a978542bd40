"""Temporary folders that are always deleted: the folder of a killed process is deleted by the next process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

HELD = "tvm_mutate-held-"


@contextlib.contextmanager
def held_folder(purpose: str) -> Iterator[Path]:
    """A temporary folder with ``purpose`` in its name, held by this process until the end of the context.

    Folders that no process holds are deleted first. A process holds a folder by a lock (flock), which the kernel
    releases with the last process that has it: this process, or a child that was forked in the meantime and runs no
    other program. Locks work across containers, where process ids mean nothing.
    """
    _sweep()
    descriptor, folder = _made(f"{HELD}{purpose}-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _made(prefix: str) -> tuple[int, Path]:
    """A new folder, and the open file descriptor that holds it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # another process deleted the folder before it was held
            continue
        try:
            held = _hold(descriptor, folder)
        except OSError:  # the file system has no locks, so no process deletes folders there
            held = True
        if held:
            return descriptor, folder
        os.close(descriptor)


def _sweep() -> None:
    """Deletes the folders of this user that no process holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{HELD}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.getuid() and _hold(descriptor, folder):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def _hold(descriptor: int, folder: Path) -> bool:
    """Whether the folder exists and this descriptor now holds it; raises OSError without locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(folder.lstat(), os.fstat(descriptor))
    except (BlockingIOError, FileNotFoundError):
        return False

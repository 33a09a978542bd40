"""Temporary folders that do not stay behind, even of a killed process: the next one that makes a folder sweeps them."""

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

    Folders that nobody holds any more are taken away first. To hold a folder is to have a lock on it (flock), which
    the kernel lets go with the last process that has it: this one, and children forked meanwhile that did not start
    another program. It tells the living from the dead in other containers, too, where process ids mean nothing.
    """
    _sweep()
    descriptor, folder = _made(f"{HELD}{purpose}-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _made(prefix: str) -> tuple[int, Path]:
    """A new folder, and the open descriptor that holds it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # another process swept it before it was held
            continue
        try:
            held = _hold(descriptor, folder)
        except OSError:  # a file system without locks: nobody can sweep there either
            held = True
        if held:
            return descriptor, folder
        os.close(descriptor)


def _sweep() -> None:
    """Takes away this user's folders that nobody holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{HELD}*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(descriptor).st_uid == os.getuid() and _hold(descriptor, folder):
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)


def _hold(descriptor: int, folder: Path) -> bool:
    """Whether the folder is there and is held through this descriptor from now on; raises OSError without locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(folder.lstat(), os.fstat(descriptor))
    except (BlockingIOError, FileNotFoundError):
        return False

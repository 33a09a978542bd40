"""Loads the native library once in a process, if it exists and was built for the installed tvm-ffi."""

from __future__ import annotations

import ctypes
import functools
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import tvm_ffi

from tvm_mutate.errors import UsageError

LIBRARY_NAME = "libtvm_mutate_native.so"
GLOBAL_PREFIX = "tvm_mutate.native."

_BUILT_FOR = GLOBAL_PREFIX + "built_for"
_MARK = re.compile(rb"tvm_mutate native library for apache-tvm-ffi ([0-9][0-9a-z.+]*)\0")


@dataclass(frozen=True)
class NativeLibrary:
    """The loaded native library, or the ``obstacle`` to loading it as a sentence.

    ``built_for`` is the version of apache-tvm-ffi that the library was compiled for, None if unknown.
    """

    path: Path
    built_for: str | None = None
    obstacle: str | None = None

    def __bool__(self) -> bool:
        return self.obstacle is None

    def function(self, name: str) -> Any:
        """The library's global function ``tvm_mutate.native.<name>``; raises UsageError with the obstacle."""
        if self.obstacle is not None:
            raise UsageError(self.obstacle)
        return tvm_ffi.get_global_func(GLOBAL_PREFIX + name)


@functools.cache
def native_library() -> NativeLibrary:
    """The native library of this package, loaded at the first call."""
    return load_library(Path(str(files("tvm_mutate.native").joinpath(LIBRARY_NAME))))


def load_library(path: Path) -> NativeLibrary:
    """Loads the library at ``path``; the result has an ``obstacle`` if that fails.

    The symbols of the library are global, because kernels compiled by LLVM look up run-time functions among the symbols
    of the process. Only the first of several copies is loaded.
    """
    loaded = tvm_ffi.get_global_func(_BUILT_FOR, allow_missing=True)
    if loaded is not None:
        return NativeLibrary(path, built_for=str(loaded()))
    if not path.is_file():
        return NativeLibrary(
            path, obstacle="the native library was not built: building it takes a C++ compiler and CMake"
        )
    mark = _MARK.search(path.read_bytes())
    if mark is None:
        return NativeLibrary(path, obstacle=f"{path} is not the native library of tvm_mutate")
    built_for = mark[1].decode()
    if _release(built_for) != _release(tvm_ffi.__version__):
        obstacle = (
            f"the native library was built for apache-tvm-ffi {built_for}, and {tvm_ffi.__version__} is installed: "
            "install tvm_mutate again"
        )
        return NativeLibrary(path, built_for, obstacle)
    try:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return NativeLibrary(path, built_for, f"the native library cannot be loaded: {error}")
    return NativeLibrary(path, built_for)


def require_runtime() -> None:
    """Loads the run-time support of mutated kernels; raises UsageError with the reason if the library is missing."""
    library = native_library()
    if not library:
        raise UsageError(f"this fault calls the run-time support of mutated kernels, and {library.obstacle}")


def _release(version: str) -> tuple[str, ...]:
    """Major, minor and patch, which alone decide the binary interface."""
    return tuple(version.split(".")[:3])

"""Compiles the C text of TVM's ``c`` target to a shared library with the C compiler of the machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import tvm
import tvm_ffi

from tvm_mutate.errors import UsageError

_OPTIONS = ("-O2", "-fPIC", "-shared", "-w")
# TVM writes float16 as `half`, a type that C has under another name.
_HALF = "-Dhalf=_Float16"


class CompileError(Exception):
    """The generated code does not compile; the message holds the compiler's first complaint."""


def c_compiler() -> str:
    """The C compiler: ``$CC``, or gcc."""
    return os.environ.get("CC") or "gcc"


def compile_c(source: str, folder: Path) -> Path:
    """The shared library of one C text, written as ``kernels.so`` into ``folder``.

    File names are always the same, so that equal text gives equal bytes. Raises CompileError where the compiler
    refuses the text and UsageError where there is no compiler.
    """
    text, library = folder / "kernels.c", folder / "kernels.so"
    text.write_text(source)
    includes = [option for path in _include_folders() for option in ("-I", path)]
    command = [c_compiler(), *_OPTIONS, _HALF, *includes, "-o", library.name, text.name, "-lm"]
    try:
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError(f"target c needs a C compiler, and {c_compiler()!r} is not there; set CC to one") from None
    if finished.returncode != 0:
        complaints = [line for line in finished.stderr.splitlines() if "error" in line] or [finished.stderr.strip()]
        raise CompileError(f"{c_compiler()}: {complaints[0][:300]}")
    return library


def _include_folders() -> list[str]:
    return [
        str(Path(tvm.__file__).parent / "include"),
        tvm_ffi.libinfo.find_include_path(),
        tvm_ffi.libinfo.find_dlpack_include_path(),
    ]

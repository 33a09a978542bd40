"""Compiles the C text of TVM's ``c`` target to a shared library with the C compiler of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import tvm
import tvm_ffi

from tvm_mutate.errors import UsageError

_OPTIONS = ("-O2", "-fPIC", "-w")
# TVM writes float16 as `half`, a type that C has under another name.
_HALF = "-Dhalf=_Float16"

# What ``keep_assembly`` leaves in the folder.
ASSEMBLY = "kernels.s"


class CompileError(Exception):
    """The generated code does not compile; the message holds the compiler's first complaint."""


def c_compiler() -> str:
    """The C compiler: ``$CC``, or gcc."""
    return os.environ.get("CC") or "gcc"


def has_c_compiler() -> bool:
    """Whether the C compiler is there."""
    return shutil.which(c_compiler()) is not None


def compiler_identity() -> str:
    """What tells one C compiler from another: its name, and where it is there what it says of its version."""
    if not has_c_compiler():
        return c_compiler()
    said = subprocess.run([c_compiler(), "--version"], capture_output=True, text=True, check=False)
    return "\n".join([c_compiler(), said.stdout, *_OPTIONS])


def compile_c(source: str, folder: Path, *, keep_assembly: bool = False) -> Path:
    """The shared library of one C text, written as ``kernels.so`` into ``folder``, on request with its assembly.

    File names are always the same, so that equal text gives equal bytes. Raises CompileError where the compiler
    refuses the text and UsageError where there is no compiler.
    """
    text, assembly, library = folder / "kernels.c", folder / ASSEMBLY, folder / "kernels.so"
    text.write_text(source)
    includes = [option for path in _include_folders() for option in ("-I", path)]
    library.unlink(missing_ok=True)  # it may be loaded: what is mapped must not change
    if keep_assembly:
        run_compiler([*_OPTIONS, "-S", _HALF, *includes, "-o", assembly.name, text.name], folder, "target c")
        run_compiler(["-shared", "-o", library.name, assembly.name, "-lm"], folder, "target c")
    else:
        run_compiler([*_OPTIONS, "-shared", _HALF, *includes, "-o", library.name, text.name, "-lm"], folder, "target c")
    return library


def link(object_file: Path, library: Path) -> None:
    """Makes a shared library of an object file; raises CompileError and UsageError as :func:`compile_c`."""
    run_compiler(["-shared", "-o", str(library), str(object_file)], library.parent, "a library of kernels")


def run_compiler(arguments: Sequence[str], folder: Path, purpose: str) -> None:
    """Runs the C compiler in a folder; raises CompileError where it complains, UsageError where it is not there."""
    command = [c_compiler(), *arguments]
    try:
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError(f"{purpose} needs a C compiler, and {c_compiler()!r} is not there; set CC to one") from None
    if finished.returncode != 0:
        complaints = [line for line in finished.stderr.splitlines() if "error" in line] or [finished.stderr.strip()]
        raise CompileError(f"{c_compiler()}: {complaints[0][:300]}")


def _include_folders() -> list[str]:
    return [
        str(Path(tvm.__file__).parent / "include"),
        tvm_ffi.libinfo.find_include_path(),
        tvm_ffi.libinfo.find_dlpack_include_path(),
    ]

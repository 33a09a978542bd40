"""Compiles the C code of TVM's ``c`` target, and links shared libraries, with a C compiler of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import tvm
import tvm_ffi
from tvm.support import cc

from tvm_mutate.errors import UsageError

_OPTIONS = ("-O2", "-fPIC", "-w")
# TVM writes float16 as `half`; C has the type under another name.
HALF = "-Dhalf=_Float16"

# The file that ``keep_assembly`` leaves in the folder.
ASSEMBLY = "kernels.s"


class CompileError(Exception):
    """The generated code does not compile; the message is the compiler's first error."""


@dataclass(frozen=True)
class Toolchain:
    """A compiler and linker of C and C++: its command (empty: ``$CC``, or gcc), and extra flags."""

    command: str = ""
    flags: tuple[str, ...] = ()

    @property
    def compiler(self) -> str:
        """The compiler's command."""
        return self.command or c_compiler()

    @property
    def options(self) -> tuple[str, ...]:
        """The options for compiling C code; later options override earlier ones."""
        return (*_OPTIONS, *self.flags)

    @property
    def is_there(self) -> bool:
        """Whether the compiler is on this machine."""
        return shutil.which(self.compiler) is not None

    @property
    def is_for_x86(self) -> bool:
        """Whether the compiler makes code for x86-64."""
        command = [self.compiler, "-dumpmachine"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout.startswith("x86_64")
        except FileNotFoundError:
            return True

    def identity(self) -> str:
        """Identifies a compiler: its name, its version if it is installed, and its options."""
        if not self.is_there:
            return self.compiler
        said = subprocess.run([self.compiler, "--version"], capture_output=True, text=True, check=False)
        return "\n".join([self.compiler, said.stdout, *self.options])


DEFAULT_TOOLCHAIN = Toolchain()


def c_compiler() -> str:
    """The C compiler of the machine: ``$CC``, or gcc."""
    return os.environ.get("CC") or "gcc"


def compile_c(
    source: str, folder: Path, *, keep_assembly: bool = False, toolchain: Toolchain = DEFAULT_TOOLCHAIN
) -> Path:
    """Compiles C code to the shared library ``kernels.so`` in ``folder``; ``keep_assembly`` keeps its assembly.

    File names are always the same, so that equal code gives equal bytes. Raises CompileError if the compiler refuses
    the code, and UsageError without a compiler.
    """
    text, assembly, library = folder / "kernels.c", folder / ASSEMBLY, folder / "kernels.so"
    text.write_text(source)
    options, purpose = [*toolchain.options, HALF, *include_options()], "target c"
    library.unlink(missing_ok=True)  # a loaded file must not change
    if keep_assembly:
        run_compiler([*options, "-S", "-o", assembly.name, text.name], folder, purpose, toolchain)
        run_compiler(["-shared", "-o", library.name, assembly.name, "-lm"], folder, purpose, toolchain)
    else:
        run_compiler([*options, "-shared", "-o", library.name, text.name, "-lm"], folder, purpose, toolchain)
    return library


def link(object_file: Path, library: Path, toolchain: Toolchain = DEFAULT_TOOLCHAIN) -> None:
    """Links an object file to a shared library; raises CompileError and UsageError as :func:`compile_c`."""
    run_compiler(["-shared", "-o", str(library), str(object_file)], library.parent, "a library of kernels", toolchain)


def export(module: tvm.runtime.Module, library: Path, toolchain: Toolchain = DEFAULT_TOOLCHAIN) -> None:
    """Makes a shared library of host code and its device code; raises errors as :func:`compile_c`."""
    export_with(module.export_library, library, toolchain, "a library of kernels")


def export_with(export_library: Callable[..., object], library: Path, toolchain: Toolchain, purpose: str) -> None:
    """Calls a function of TVM that exports a library, with this toolchain; raises errors as :func:`compile_c`."""
    if not toolchain.is_there:
        raise UsageError(missing_compiler(purpose, toolchain))
    linker = cc.cross_compiler(toolchain.compiler, options=[*toolchain.options, HALF, *include_options()])
    try:
        export_library(str(library), fcompile=linker, workspace_dir=str(library.parent))
    except RuntimeError as error:
        raise CompileError(f"{toolchain.compiler}: {_first_complaint(str(error))}") from None


def _first_complaint(text: str) -> str:
    lines = [line for line in text.splitlines() if "error" in line.lower()] or text.splitlines()
    return lines[0][:300] if lines else "it failed"


def run_compiler(arguments: Sequence[str], folder: Path, purpose: str, toolchain: Toolchain) -> None:
    """Runs the compiler in a folder; raises CompileError if it fails, and UsageError if it is not installed."""
    command = [toolchain.compiler, *arguments]
    try:
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError(missing_compiler(purpose, toolchain)) from None
    if finished.returncode != 0:
        raise CompileError(f"{toolchain.compiler}: {_first_complaint(finished.stderr)}")


def missing_compiler(purpose: str, toolchain: Toolchain) -> str:
    """The message for a missing compiler, with the remedy."""
    mend = "install it, or name another" if toolchain.command else "set CC to one"
    return f"{purpose} needs a C compiler, and {toolchain.compiler!r} is not there; {mend}"


def include_options() -> list[str]:
    """The compiler options for the headers of TVM's runtime."""
    folders = [
        str(Path(tvm.__file__).parent / "include"),
        tvm_ffi.libinfo.find_include_path(),
        tvm_ffi.libinfo.find_dlpack_include_path(),
    ]
    return [option for path in folders for option in ("-I", path)]

"""Compiles the C text of TVM's ``c`` target to a shared library with a C compiler of the machine."""

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
# TVM writes float16 as `half`, a type that C has under another name.
HALF = "-Dhalf=_Float16"

# What ``keep_assembly`` leaves in the folder.
ASSEMBLY = "kernels.s"


class CompileError(Exception):
    """The generated code does not compile; the message holds the compiler's first complaint."""


@dataclass(frozen=True)
class Toolchain:
    """A compiler of C and C++ that links, too: its command (empty: ``$CC``, or gcc), and flags after our own."""

    command: str = ""
    flags: tuple[str, ...] = ()

    @property
    def compiler(self) -> str:
        """The compiler's command."""
        return self.command or c_compiler()

    @property
    def options(self) -> tuple[str, ...]:
        """The options that C text is compiled with; of two that disagree the last counts."""
        return (*_OPTIONS, *self.flags)

    @property
    def is_there(self) -> bool:
        """Whether the compiler is on this machine."""
        return shutil.which(self.compiler) is not None

    @property
    def is_for_x86(self) -> bool:
        """Whether the compiler says that it makes code for x86-64."""
        command = [self.compiler, "-dumpmachine"]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False).stdout.startswith("x86_64")
        except FileNotFoundError:
            return True

    def identity(self) -> str:
        """What tells one compiler from another: its name, what it says of its version if it is there, and options."""
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
    """The shared library of one C text, written as ``kernels.so`` into ``folder``, on request with its assembly.

    File names are always the same, so that equal text gives equal bytes. Raises CompileError where the compiler
    refuses the text and UsageError where there is no compiler.
    """
    text, assembly, library = folder / "kernels.c", folder / ASSEMBLY, folder / "kernels.so"
    text.write_text(source)
    options, purpose = [*toolchain.options, HALF, *include_options()], "target c"
    library.unlink(missing_ok=True)  # it may be loaded: what is mapped must not change
    if keep_assembly:
        run_compiler([*options, "-S", "-o", assembly.name, text.name], folder, purpose, toolchain)
        run_compiler(["-shared", "-o", library.name, assembly.name, "-lm"], folder, purpose, toolchain)
    else:
        run_compiler([*options, "-shared", "-o", library.name, text.name, "-lm"], folder, purpose, toolchain)
    return library


def link(object_file: Path, library: Path, toolchain: Toolchain = DEFAULT_TOOLCHAIN) -> None:
    """Makes a shared library of an object file; raises CompileError and UsageError as :func:`compile_c`."""
    run_compiler(["-shared", "-o", str(library), str(object_file)], library.parent, "a library of kernels", toolchain)


def export(module: tvm.runtime.Module, library: Path, toolchain: Toolchain = DEFAULT_TOOLCHAIN) -> None:
    """Makes a shared library of host code with the device code that it imports.

    Raises CompileError and UsageError as :func:`compile_c`.
    """
    export_with(module.export_library, library, toolchain, "a library of kernels")


def export_with(export_library: Callable[..., object], library: Path, toolchain: Toolchain, purpose: str) -> None:
    """Calls one of TVM's functions that export a library; its files go where the library goes.

    Raises CompileError and UsageError as :func:`compile_c`.
    """
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
    """Runs the compiler in a folder; raises CompileError where it complains, UsageError where it is not there."""
    command = [toolchain.compiler, *arguments]
    try:
        finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError(missing_compiler(purpose, toolchain)) from None
    if finished.returncode != 0:
        complaints = [line for line in finished.stderr.splitlines() if "error" in line] or [finished.stderr.strip()]
        raise CompileError(f"{toolchain.compiler}: {complaints[0][:300]}")


def missing_compiler(purpose: str, toolchain: Toolchain) -> str:
    """What to say where a compiler is not there, and how to mend that."""
    mend = "install it, or name another" if toolchain.command else "set CC to one"
    return f"{purpose} needs a C compiler, and {toolchain.compiler!r} is not there; {mend}"


def include_options() -> list[str]:
    """The compiler's options that let it find the headers of TVM's run time."""
    folders = [
        str(Path(tvm.__file__).parent / "include"),
        tvm_ffi.libinfo.find_include_path(),
        tvm_ffi.libinfo.find_dlpack_include_path(),
    ]
    return [option for path in folders for option in ("-I", path)]

"""Kernels of the ``c`` target compiled with AddressSanitizer, each run in a separate program."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import tvm_ffi
from tvm.target import Target
from tvm.tirx import PrimFunc

from tvm_mutate.errors import UsageError
from tvm_mutate.kernels.c_compiler import DEFAULT_TOOLCHAIN, HALF, CompileError, include_options, run_compiler
from tvm_mutate.kernels.kernels import module_of
from tvm_mutate.passes import ENTRY_PREFIX
from tvm_mutate.pipeline import TVM_FLOW, Flow, generate

# A kernel goes on after an error, because it may leave its buffers at several places. `-w`: the code is TVM's.
_OPTIONS = ("-O1", "-g", "-w", "-fsanitize=address", "-fsanitize-recover=address", HALF)
_RUN_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=0:handle_segv=1:allow_user_segv_handler=0:print_legend=0:color=never"
}
_ERROR = re.compile(
    r"ERROR: AddressSanitizer: (?P<what>[\w-]+).*?(?:\n(?P<access>READ|WRITE) of size (?P<size>\d+)|$)(?P<frames>.*?)"
    r"(?===\d+==ERROR|\Z)",
    re.DOTALL,
)
_LINE = re.compile(r"kernels\.c:(\d+)")
_HARNESS, _CALLS = "sanitized_main.c", "calls.txt"
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}


@dataclass(frozen=True)
class SanitizerFinding:
    """A finding of AddressSanitizer at one place in a kernel; ``access`` is ``read``, ``write``, or empty if unknown.

    ``line`` is the number of the line of C, from 1, and ``code`` its text; 0 and empty if unknown.
    """

    what: str
    access: str
    line: int
    code: str


class SanitizerMissingError(Exception):
    """AddressSanitizer is missing or cannot be used on these kernels; the message says why."""


class SanitizedKernels:
    """Structured PrimFuncs compiled with AddressSanitizer into ``folder``.

    Every argument and temporary buffer is allocated separately with its exact size. Raises SanitizerMissingError if the
    compiler has no AddressSanitizer, or refuses the code.
    """

    def __init__(self, functions: Mapping[str, PrimFunc], folder: Path, flow: Flow = TVM_FLOW) -> None:
        self._names, self._folder = sorted(functions), folder
        folder.mkdir(parents=True, exist_ok=True)
        try:
            source = generate(module_of(functions), Target("c"), flow).inspect_source("c")
        except Exception as error:  # any error of TVM
            raise SanitizerMissingError(f"TVM generates no C of it ({_last_line(error)})") from None
        self._lines = source.splitlines()
        self._program = self._compiled(source)

    def _compiled(self, source: str) -> Path:
        folder = self._folder
        (folder / "kernels.c").write_text(source)
        harness = files("tvm_mutate.kernels").joinpath(_HARNESS).read_text(encoding="utf-8")
        entries = "".join(f"KERNEL({ENTRY_PREFIX}{name}, {name})\n" for name in self._names)
        (folder / "entries.h").write_text(entries)
        (folder / _HARNESS).write_text(harness)
        library = Path(tvm_ffi.libinfo.find_libtvm_ffi())
        arguments = ["kernels.c", _HARNESS, str(library), "-lm", f"-Wl,-rpath,{library.parent}"]
        _compile([*include_options(), "-o", "kernels", *arguments], folder)
        return folder / "kernels"

    def run(
        self,
        name: str,
        arguments: Sequence[np.ndarray],
        results: Sequence[tuple[Sequence[int], str]],
        seconds: float = 60.0,
    ) -> list[SanitizerFinding]:
        """The accesses of a kernel outside its buffers, on these arguments; results are shapes and dtypes.

        Raises SanitizerMissingError if the program does not run.
        """
        lines = [f"{name} {len(arguments) + len(results)}"]
        for number, array in enumerate(arguments):
            path = self._folder / f"argument{number}.bin"
            path.write_bytes(np.ascontiguousarray(array).tobytes())
            lines.append(_described(array.shape, array.dtype, path.name))
        lines += [_described(shape, np.dtype(dtype), "-") for shape, dtype in results]
        (self._folder / _CALLS).write_text("\n".join([*lines, ""]))
        try:
            ended = subprocess.run(
                [self._program.absolute(), _CALLS],
                cwd=self._folder,
                env={**os.environ, **_RUN_OPTIONS},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SanitizerMissingError(f"the program with AddressSanitizer does not end well ({error})") from None
        found = self._findings(ended.stderr)
        if ended.returncode != 0 and not found:
            raise SanitizerMissingError(f"the program with AddressSanitizer failed: {ended.stderr.strip()[-200:]}")
        return found

    def _findings(self, said: str) -> list[SanitizerFinding]:
        found: dict[tuple[str, int], SanitizerFinding] = {}
        for match in _ERROR.finditer(said):
            place = _LINE.search(match["frames"] or "")
            line = int(place[1]) if place else 0
            code = self._lines[line - 1].strip() if 0 < line <= len(self._lines) else ""
            access = (match["access"] or "").lower()
            found.setdefault((access, line), SanitizerFinding(match["what"], access, line, code))
        return list(found.values())


def _compile(arguments: Sequence[str], folder: Path) -> None:
    try:
        run_compiler([*_OPTIONS, *arguments], folder, "AddressSanitizer", DEFAULT_TOOLCHAIN)
    except (CompileError, UsageError) as error:
        raise SanitizerMissingError(f"no program with AddressSanitizer: {error}") from None


def _described(shape: Sequence[int], dtype: np.dtype, path: str) -> str:
    return " ".join(map(str, [_CODES[dtype.kind], dtype.itemsize * 8, len(shape), *shape, path]))


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]

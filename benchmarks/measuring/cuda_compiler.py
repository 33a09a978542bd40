"""CUDA source to PTX and machine code, without a GPU: by NVRTC (cuda-bindings), or by nvcc and ptxas."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_mutate.errors import UsageError

MISSING = "no CUDA compiler: neither NVRTC (pip install cuda-bindings 'nvidia-cuda-nvrtc==13.*') nor nvcc is here"
# As TVM compiles on a machine with a GPU, by either of the two (tvm/support/nvcc.py).
_FAST_MATH = "--use_fast_math"

# What TVM's sources include when NVRTC compiles them. The whole of these headers takes longer than most kernels.
_HEADERS = {
    "cuda/std/cstdint": """#pragma once
namespace cuda { namespace std {
typedef signed char int8_t; typedef short int16_t; typedef int int32_t; typedef long long int64_t;
typedef unsigned char uint8_t; typedef unsigned short uint16_t; typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
} }
""",
    "cuda/std/type_traits": """#pragma once
namespace cuda { namespace std {
template <class A, class B> struct is_same { static constexpr bool value = false; };
template <class A> struct is_same<A, A> { static constexpr bool value = true; };
template <class A, class B> constexpr bool is_same_v = is_same<A, B>::value;
template <class A> struct is_integral;
template <class A> struct is_signed;
template <class A> struct is_unsigned;
template <class A> struct is_floating_point;
template <bool B, class T = void> struct enable_if {};
template <class T> struct enable_if<true, T> { typedef T type; };
template <bool B, class T, class F> struct conditional { typedef T type; };
template <class T, class F> struct conditional<false, T, F> { typedef F type; };
} }
""",
}


@dataclass(frozen=True)
class Compiled:
    """What became of a source: its PTX and its machine code, empty where nothing assembles it, or the complaint."""

    ptx: str = ""
    machine_code: bytes = b""
    complaint: str = ""


Compile = Callable[[str], Compiled]


def cuda_compiler(architecture: str) -> tuple[str, Compile]:
    """The name and version of the CUDA compiler of this machine, and what compiles a source for the architecture.

    Raises UsageError where there is none.
    """
    if nvrtc := _nvrtc():
        _, major, minor = nvrtc.nvrtcVersion()
        return f"NVRTC {major}.{minor}", lambda source: _by_nvrtc(nvrtc, source, architecture)
    if shutil.which("nvcc"):
        lines = _called("nvcc", "--version").stdout.strip().splitlines()
        return f"nvcc, {lines[-2 if len(lines) > 1 else -1]}", lambda source: _by_nvcc(source, architecture)
    raise UsageError(MISSING)


def _nvrtc() -> Any | None:
    """The bindings of NVRTC if they are here, and their library, too."""
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError):  # the library, which is a package of its own, is loaded when first called
        return None
    return nvrtc


def _by_nvrtc(nvrtc: Any, source: str, architecture: str) -> Compiled:
    names, texts = ([each.encode() for each in part] for part in (_HEADERS, _HEADERS.values()))
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernels.cu", len(names), texts, names)
    options = [f"--gpu-architecture={architecture}", "-default-device", _FAST_MATH, *_where_headers_are()]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
    if int(result):
        log = _read(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)
        compiled = Compiled(complaint=_first_error(log.decode(errors="replace")))
    else:
        ptx = _read(nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX, program)
        machine_code = _read(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
        compiled = Compiled(ptx.decode().rstrip("\0"), machine_code)
    nvrtc.nvrtcDestroyProgram(program)
    return compiled


def _where_headers_are() -> list[str]:
    """The option that names the folder of CUDA's headers, which sources with halves include, if there is one."""
    named = [Path(os.environ[variable]) for variable in ("CUDA_PATH", "CUDA_HOME") if variable in os.environ]
    folders = [place / "include" for place in (*named, *sorted(Path("/usr/local").glob("cuda*"), reverse=True))]
    return [f"-I{folder}" for folder in folders if (folder / "cuda_fp16.h").is_file()][:1]


def _read(size: Callable[[Any], Any], read: Callable[[Any, bytearray], Any], program: Any) -> bytes:
    buffer = bytearray(size(program)[1])
    read(program, buffer)
    return bytes(buffer)


def _by_nvcc(source: str, architecture: str) -> Compiled:
    with tempfile.TemporaryDirectory(prefix="cuda-") as folder:
        text, ptx, machine_code = (Path(folder) / f"kernels.{ending}" for ending in ("cu", "ptx", "cubin"))
        text.write_text(source)
        ended = _called("nvcc", "-ptx", f"-arch={architecture}", _FAST_MATH, str(text), "-o", str(ptx))
        if not ended.returncode and shutil.which("ptxas"):
            ended = _called("ptxas", f"-arch={architecture}", str(ptx), "-o", str(machine_code))
        if ended.returncode:
            return Compiled(complaint=_first_error(ended.stdout))
        return Compiled(ptx.read_text(), machine_code.read_bytes() if machine_code.exists() else b"")


def _called(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def _first_error(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if "error" in line] or log.splitlines() or ["it failed"]
    return lines[0]

"""The native library: there where it can be built, loaded once, and a sentence where it cannot be used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import tvm_ffi

import tvm_mutate
from tvm_mutate.errors import UsageError
from tvm_mutate.native import LIBRARY_NAME, NativeLibrary, native_library

COMPILERS = (os.environ.get("CXX", "c++"), "g++", "clang++")
PARENT = str(Path(tvm_mutate.__file__).parents[1])
needs_library = pytest.mark.skipif(not native_library(), reason=str(native_library().obstacle))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Callable[..., str]:
    """Runs Python in a process that has not loaded the library yet, and in a folder of its own; what it prints."""

    def run(script: str, *arguments: object) -> str:
        head = "import ctypes, sys, tvm_ffi\nfrom pathlib import Path\nfrom tvm_mutate.native import *\n"
        paths = os.pathsep.join([PARENT, os.environ.get("PYTHONPATH", "")])
        finished = subprocess.run(
            [sys.executable, "-c", head + script, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.strip()

    return run


def test_the_library_is_built_if_there_is_a_compiler():
    if not any(shutil.which(compiler) for compiler in COMPILERS):
        warnings.warn("no C++ compiler: nothing of the native library is tested", stacklevel=1)
        pytest.skip("no C++ compiler")
    library = native_library()
    assert library, f"{library.obstacle}; in a working copy run: cmake -B build && cmake --build build"
    assert library.built_for is not None
    assert library.built_for.split(".")[:3] == tvm_ffi.__version__.split(".")[:3]
    assert library.function("built_for")() == library.built_for


@needs_library
def test_a_second_copy_of_the_library_is_harmless(elsewhere: Callable[..., str], tmp_path: Path):
    copy = shutil.copy(native_library().path, tmp_path)
    script = """
first = native_library()
operators = list(first.function("operators")())
second = load_library(Path(sys.argv[1]))
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
ctypes.CDLL(str(first.path), mode=ctypes.RTLD_GLOBAL)
assert first and second and list(second.function("operators")()) == operators
print(len(operators))
"""
    assert int(elsewhere(script, copy)) >= 8


@needs_library
def test_a_library_for_another_tvm_ffi_is_not_loaded_and_says_so(elsewhere: Callable[..., str], tmp_path: Path):
    built_for = str(native_library().built_for)
    content = native_library().path.read_bytes()
    other = tmp_path / LIBRARY_NAME
    other.write_bytes(content.replace(built_for.encode(), b"9" + built_for.encode()[1:]))
    script = """
library = load_library(Path(sys.argv[1]))
assert not library and tvm_ffi.get_global_func("tvm_mutate.native.operators", allow_missing=True) is None
print(library.obstacle)
"""
    assert elsewhere(script, other) == (
        f"the native library was built for apache-tvm-ffi 9{built_for[1:]}, and {tvm_ffi.__version__} is installed: "
        "install tvm_mutate again"
    )


@needs_library
def test_functions_of_python_that_were_registered_do_not_outlive_the_interpreter(elsewhere: Callable[..., str]):
    script = """
native_library().function("register_injector")("of-python", lambda parameters: lambda node: node)
print("of-python" in native_library().function("injectors")())
"""
    assert elsewhere(script) == "True"


PRINT_OBSTACLE = "print(load_library(Path(sys.argv[1])).obstacle)"


def test_the_error_for_a_missing_library_names_the_requirements(elsewhere: Callable[..., str], tmp_path: Path):
    told = elsewhere(PRINT_OBSTACLE, tmp_path / LIBRARY_NAME)
    assert told == "the native library was not built: building it takes a C++ compiler and CMake"


def test_another_file_in_its_place_is_not_loaded(elsewhere: Callable[..., str], tmp_path: Path):
    path = tmp_path / LIBRARY_NAME
    path.write_bytes(b"\x7fELF no library of ours")
    assert elsewhere(PRINT_OBSTACLE, path) == f"{path} is not the native library of tvm_mutate"


@needs_library
def test_a_damaged_library_gives_an_error_in_one_sentence(elsewhere: Callable[..., str], tmp_path: Path):
    path = tmp_path / LIBRARY_NAME
    content = native_library().path.read_bytes()
    path.write_bytes(b"\x00" * 64 + content[64:])
    assert elsewhere(PRINT_OBSTACLE, path).startswith("the native library cannot be loaded: ")


def test_the_error_for_a_missing_library_gives_the_reason():
    with pytest.raises(UsageError, match="no compiler that day"):
        NativeLibrary(Path("nowhere"), obstacle="no compiler that day").function("operators")

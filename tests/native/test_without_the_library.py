"""Where the native library is not there, what needs it says so in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest
import tvm

from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import build_batch, parse_target
from tvm_mutate.native import NativeLibrary, library
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, apply_mutations

ABSENT = NativeLibrary(
    Path("nowhere.so"), obstacle="the native library was not built: building it takes a C++ compiler and CMake"
)
ADDITION = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((4,), "float32"), B: T.Buffer((4,), "float32")):
    for i in range(4):
        B[i] = A[i] + T.float32(1)
"""


def test_a_kernel_that_calls_the_runtime_is_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(library, "native_library", lambda: ABSENT)
    catalogue = builtin_catalogue()
    module = tvm.IRModule({"main": tvm.script.from_source(ADDITION)})
    for text in ("tir.round-toward-zero@main#0", "tir.flip-bit-once@main#0"):
        selection = Selection.resolve(catalogue.parse(text).mutations[0], catalogue)
        mutated, (applied,) = apply_mutations(module, [selection])
        assert applied.changed
        with pytest.raises(
            UsageError, match="calls the run-time support of mutated kernels, and the native library was not"
        ):
            build_batch({"main": mutated["main"]}, parse_target("llvm"), tmp_path)

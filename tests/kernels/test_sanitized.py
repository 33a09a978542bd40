"""Kernels compiled with AddressSanitizer: accesses outside their buffers, with their places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tvm

from tvm_mutate.kernels import SanitizedKernels, SanitizerFinding, SanitizerMissingError

SCRIPT = """
@T.prim_func(s_tir=True)
def kernel(A: T.Buffer((100,), "float32"), B: T.Buffer((100,), "float32")):
    C = T.sblock_alloc_buffer((100,), "float32")
    for i in range(100):
        with T.sblock("first"):
            C[{stored}] = A[{loaded}]
    for i in range(100):
        with T.sblock("second"):
            B[i] = C[i]
"""


def findings(folder: Path, loaded: str = "i", stored: str = "i") -> list[SanitizerFinding]:
    function = tvm.script.from_source(SCRIPT.format(loaded=loaded, stored=stored))
    kernels = SanitizedKernels({"kernel": function}, folder)
    return kernels.run("kernel", [np.ones(100, "float32")], [((100,), "float32")])


@pytest.fixture
def sanitizer(tmp_path: Path) -> Path:
    """A folder on a machine with AddressSanitizer; skips where there is none."""
    try:
        findings(tmp_path)
    except SanitizerMissingError as error:
        pytest.skip(str(error))
    return tmp_path


def test_a_kernel_that_stays_in_its_buffers_has_no_outside_access(sanitizer: Path):
    assert findings(sanitizer) == []


def test_a_read_one_element_behind_an_argument_is_reported_with_its_line_of_code(sanitizer: Path):
    (found,) = findings(sanitizer, loaded="i + 1")
    assert (found.what, found.access) == ("heap-buffer-overflow", "read")
    assert "A[(i + 1)]" in found.code
    assert (sanitizer / "kernels.c").read_text().splitlines()[found.line - 1].strip() == found.code


def test_a_write_behind_a_temporary_buffer_is_reported(sanitizer: Path):
    (found,) = findings(sanitizer, stored="i + 2")
    assert (found.what, found.access) == ("stack-buffer-overflow", "write")


def test_a_read_far_away_ends_the_program_and_is_reported(sanitizer: Path):
    (found,) = findings(sanitizer, loaded="i + 1000000000")
    assert found.what == "SEGV"


@pytest.mark.parametrize("compiler", ["/bin/false", "no-such-compiler"])
def test_a_machine_without_the_sanitizer_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str):
    monkeypatch.setenv("CC", compiler)
    with pytest.raises(SanitizerMissingError, match="AddressSanitizer"):
        findings(tmp_path)

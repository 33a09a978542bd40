"""Red zones, on kernels that leave their buffers on purpose."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tvm

from tvm_mutate.evaluate.host import HostArena, HostValue, Temporaries, temporary_sizes
from tvm_mutate.evaluate.memory import READ, WRITE
from tvm_mutate.evaluate.program import ValueType
from tvm_mutate.kernels import build_batch, parse_target

VECTOR = ValueType((1024,), "float32")
KERNEL = """
@T.prim_func(s_tir=True)
def kernel(A: T.Buffer((1024,), "float32"), B: T.Buffer((1024,), "float32")):
    {temporary}
    for i in range({extent}):
        with T.sblock("first"):
            {first}
    for i in range(1024):
        with T.sblock("second"):
            {second}
"""
TEMPORARY = 'C = T.sblock_alloc_buffer(({size},), "float32")'


def outcome(folder: Path, extent: int, first: str, second: str, harmless: bool = False) -> tuple[np.ndarray, set[str]]:
    """What a kernel computes of ones, and what it did that is undefined."""
    script = KERNEL.format(extent=extent, first=first, second=second, temporary=TEMPORARY.format(size=1024))
    function = tvm.script.from_source(script)
    kernel = build_batch({"kernel": function}, parse_target("llvm"), folder)["kernel"]
    arena = HostArena([VECTOR], [VECTOR], Temporaries(), temporary_sizes(function), harmless)
    ones = HostValue(tvm.runtime.tensor(np.ones(1024, "float32")))
    results, undefined = arena.run(kernel.run, [ones], thoroughly=True)
    values = results[0].array.copy()
    again, _ = arena.run(kernel.run, [ones], thoroughly=False)
    assert again[0].array.tobytes() == values.tobytes()
    return values, undefined


@pytest.mark.parametrize("harmless", [False, True])
def test_a_kernel_that_stays_in_its_buffers_has_no_outside_access(tmp_path: Path, harmless: bool):
    values, undefined = outcome(tmp_path, 1024, "C[i] = A[i] + T.float32(1)", "B[i] = C[i]", harmless)
    assert undefined == set()
    assert values.tolist() == [2.0] * 1024


@pytest.mark.parametrize("offset", [1, 700, 1023])
def test_a_read_behind_an_argument_is_named_however_far_it_goes(tmp_path: Path, offset: int):
    _, undefined = outcome(tmp_path, 1024, f"C[i] = A[i + {offset}]", "B[i] = C[i]")
    assert undefined == {READ}


@pytest.mark.parametrize("harmless", [False, True])
def test_a_temporary_buffer_that_is_not_written_to_its_end_is_named(tmp_path: Path, harmless: bool):
    _, undefined = outcome(tmp_path, 1023, "C[i] = A[i]", "B[i] = C[i]", harmless)
    assert undefined == {READ}


@pytest.mark.parametrize("harmless", [False, True])
def test_a_result_that_is_not_written_to_its_end_is_named(tmp_path: Path, harmless: bool):
    _, undefined = outcome(tmp_path, 1024, "C[i] = A[i]", "B[T.min(i, 1022)] = C[i]", harmless)
    assert undefined == {READ}


@pytest.mark.parametrize("harmless", [False, True])
def test_writes_behind_a_result_are_named_even_where_there_should_be_none(tmp_path: Path, harmless: bool):
    _, undefined = outcome(tmp_path, 1024, "C[i] = A[i]", "B[i + 1] = C[i]", harmless)
    assert WRITE in undefined


def test_a_write_to_an_argument_is_named_and_the_argument_does_not_change(tmp_path: Path):
    values, undefined = outcome(tmp_path, 1024, "A[i] = A[i] + T.float32(1)", "B[i] = A[i]")
    assert undefined == {WRITE}
    assert values.tolist() == [2.0] * 1024

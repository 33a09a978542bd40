"""What the CUDA compiler makes of operators on threads, barriers and memory of GPUs: a difference in the PTX, too."""

from __future__ import annotations

import re
import shutil

import pytest
from mutated_kernels import COUNT, CUDA, SUM, code, kernel
from tvm.support import nvcc

from tvm_mutate.kernels import parse_target

pytestmark = pytest.mark.skipif(not shutil.which("nvcc"), reason="nvcc is not installed: no PTX to look at")

REVERSED = kernel(
    """
    S = T.sblock_alloc_buffer((64,), "float32", scope="shared")
    for b in T.thread_binding(4, thread="blockIdx.x"):
        for t in T.thread_binding(16, thread="threadIdx.x"):
            with T.sblock("stage"):
                v = T.axis.spatial(64, b * 16 + t)
                S[v] = A[v]
        for t in T.thread_binding(16, thread="threadIdx.x"):
            with T.sblock("reverse"):
                vb, vt = T.axis.remap("SS", [b, t])
                B[vb * 16 + vt] = S[vb * 16 + 15 - vt]
""",
    'A: T.Buffer((64,), "float32"), B: T.Buffer((64,), "float32")',
)


def ptx(script: str, mutant: str | None = None) -> str:
    with parse_target(CUDA):
        return nvcc.compile_cuda(code(script, mutant), target_format="ptx", arch="sm_80", compiler="nvcc").decode()


@pytest.mark.parametrize(
    ("script", "mutant", "pattern", "before", "after"),
    [
        (REVERSED, "tir.drop-barrier", r"bar\.sync", ["bar.sync"], []),
        (REVERSED, "code.drop-barrier", r"bar\.sync", ["bar.sync"], []),
        (REVERSED, "tir.change-scope", r"(?:st|ld)\.shared", ["st.shared", "ld.shared"], []),
        (REVERSED, "tir.thread-extent@*#0-1", r"maxntid (\d+)", ["16"], ["15"]),
        (SUM, "tir.shuffle-lane@*#0", r"mov\.\w32 \t%r\d+, (1[67]);", ["16"], ["17"]),
        (COUNT, "tir.plain-atomic", r"(?:atom|red)\.global", ["atom.global"], []),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith(("tir", "code")) else "",
)
def test_a_mutant_on_threads_is_another_instruction(
    script: str, mutant: str, pattern: str, before: list[str], after: list[str]
):
    unmutated, mutated = ptx(script), ptx(script, mutant)
    assert re.findall(pattern, unmutated) == before
    assert re.findall(pattern, mutated) == after
    assert mutated != unmutated

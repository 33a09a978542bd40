"""Operators on GPU kernels: their sites, the CUDA code, and the PTX of nvcc."""

from __future__ import annotations

import re
import shutil

import pytest
from mutated_kernels import CUDA, code, kernel, sites
from tvm.support import nvcc

from tvm_mutate.kernels import parse_target

# TVM splits S into two halves, and the loop into a prologue, a body and an epilogue.
PIPELINE = kernel(
    """
    for t in T.thread_binding(32, thread="threadIdx.x"):
        for i in T.serial(16, annotations={"software_pipeline_stage": [0, 1], "software_pipeline_order": [0, 1]}):
            with T.sblock("row"):
                T.reads(A[i, t])
                T.writes(B[i, t])
                S = T.sblock_alloc_buffer((32,), "float32", scope="shared")
                with T.sblock("load"):
                    T.reads(A[i, t])
                    T.writes(S[0:32])
                    S[t] = A[i, t]
                with T.sblock("reverse"):
                    T.reads(S[0:32])
                    T.writes(B[i, t])
                    B[i, t] = S[31 - t] + T.float32(1)
""",
    'A: T.Buffer((16, 32), "float32"), B: T.Buffer((16, 32), "float32")',
)
# A reduction over a warp, which becomes shuffles, and atomic updates.
SUM = kernel(
    """
    for k in T.thread_binding(32, thread="threadIdx.x"):
        with T.sblock("sum"):
            vk = T.axis.reduce(32, k)
            with T.init():
                B[0] = T.float32(0)
            B[0] = B[0] + A[vk]
""",
    'A: T.Buffer((32,), "float32"), B: T.Buffer((1,), "float32")',
)
COUNT = kernel("""
    for t in T.thread_binding(16, thread="threadIdx.x"):
        with T.sblock("count"):
            vt = T.axis.spatial(16, t)
            T.reads(A[vt], B[vt // 4])
            T.writes(B[vt // 4])
            T.evaluate(T.cuda.atomic_add(T.address_of(B[vt // 4]), A[vt]))
""")
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

BARRIER = "__syncthreads();"


@pytest.mark.parametrize("slot", ["lowered", "codegen"])
def test_a_dropped_barrier_disappears_and_a_moved_barrier_stays(slot: str):
    barriers = code(PIPELINE).count(BARRIER)
    assert code(PIPELINE, f"tir.drop-barrier{{slot={slot}}}@*#0").count(BARRIER) == barriers - 1
    moved = code(PIPELINE, f"tir.move-barrier{{slot={slot}}}")
    assert moved != code(PIPELINE)
    assert moved.count(BARRIER) == barriers


def test_a_buffer_with_a_changed_scope_is_no_longer_shared():
    assert "__shared__" in code(PIPELINE)
    assert "__shared__" not in code(PIPELINE, "tir.change-scope")


def test_the_other_half_of_a_double_buffer_is_read_in_the_body_of_a_pipeline():
    (site,) = sites(PIPELINE, "tir.double-buffer-index", CUDA)
    assert site.before.startswith("for i in range(15)")
    assert code(PIPELINE, "tir.double-buffer-index") != code(PIPELINE)


def test_a_barrier_at_the_end_of_a_sequence_cannot_move():
    script = kernel("""
    with T.launch_thread("threadIdx.x", 16) as t:
        B[t] = A[t]
        T.tvm_storage_sync("shared")
""")
    assert len(sites(script, "tir.drop-barrier", CUDA)) == 1
    assert sites(script, "tir.move-barrier", CUDA) == []


def test_every_shuffle_of_a_reduction_over_a_warp_is_a_site():
    # Five shuffles halve the number of terms; the last one gives the result to all lanes.
    assert len(sites(SUM, "tir.shuffle-lane", CUDA)) == code(SUM).count("= __shfl_") == 6
    assert ", 17, 32)" in code(SUM, "tir.shuffle-lane")


def test_a_distance_is_never_shortened_below_zero():
    assert len(sites(SUM, "tir.shuffle-lane{by=-1}", CUDA)) == 5
    assert len(sites(SUM, "tir.shuffle-lane{by=-2}", CUDA)) == 4


@pytest.mark.parametrize("slot", ["kernel", "lowered"])
def test_a_plain_update_loads_and_stores(slot: str):
    assert "atomic_add((&(" in code(COUNT)
    plain = code(COUNT, f"tir.plain-atomic{{slot={slot}}}")
    assert "atomic_add((&(" not in plain
    assert " + A" in plain


@pytest.mark.parametrize(
    "mutant",
    [
        "tir.drop-barrier",
        "tir.move-barrier",
        "tir.change-scope",
        "tir.double-buffer-index",
        "tir.shuffle-lane",
        "tir.plain-atomic",
    ],
)
def test_a_kernel_for_cpus_has_no_site(mutant: str):
    body = "    for i in range(16):\n        B[i] = T.exp(A[i % 2 + i // 2])\n        T.evaluate(0)"
    assert sites(kernel(body), mutant) == []


def ptx(script: str, mutant: str | None = None) -> str:
    with parse_target(CUDA):
        return nvcc.compile_cuda(code(script, mutant), target_format="ptx", arch="sm_80", compiler="nvcc").decode()


@pytest.mark.skipif(not shutil.which("nvcc"), reason="nvcc is not installed: no PTX to look at")
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
def test_a_mutant_changes_the_instructions_of_the_ptx(
    script: str, mutant: str, pattern: str, before: list[str], after: list[str]
):
    unmutated, mutated = ptx(script), ptx(script, mutant)
    assert re.findall(pattern, unmutated) == before
    assert re.findall(pattern, mutated) == after
    assert mutated != unmutated

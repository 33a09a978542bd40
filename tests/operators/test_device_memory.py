"""What becomes of barriers, shared memory and double buffers in the code for a GPU."""

from __future__ import annotations

import pytest
from mutated_kernels import CUDA, code, kernel, sites

# TVM makes two halves of S, and of the loop a prologue, a body and an epilogue.
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
BARRIER = "__syncthreads();"


@pytest.mark.parametrize("slot", ["lowered", "codegen"])
def test_a_dropped_barrier_is_gone_and_a_moved_one_is_not(slot: str):
    barriers = code(PIPELINE).count(BARRIER)
    assert code(PIPELINE, f"tir.drop-barrier{{slot={slot}}}@*#0").count(BARRIER) == barriers - 1
    moved = code(PIPELINE, f"tir.move-barrier{{slot={slot}}}")
    assert moved != code(PIPELINE)
    assert moved.count(BARRIER) == barriers


def test_shared_memory_that_is_made_local_is_no_longer_shared():
    assert "__shared__" in code(PIPELINE)
    assert "__shared__" not in code(PIPELINE, "tir.change-scope")


def test_the_other_half_of_a_double_buffer_is_read_in_the_body_of_a_pipeline():
    (site,) = sites(PIPELINE, "tir.double-buffer-index", CUDA)
    assert site.before.startswith("for i in range(15)")
    assert code(PIPELINE, "tir.double-buffer-index") != code(PIPELINE)


@pytest.mark.parametrize(
    "mutant", ["tir.drop-barrier", "tir.move-barrier", "tir.change-scope", "tir.double-buffer-index"]
)
def test_kernels_for_cpus_have_no_site(mutant: str):
    assert sites(kernel("    for i in range(16):\n        B[i] = A[i % 2 + i // 2]"), mutant) == []


def test_there_is_no_barrier_to_move_where_none_is_followed_by_anything():
    script = kernel("""
    with T.launch_thread("threadIdx.x", 16) as t:
        B[t] = A[t]
        T.tvm_storage_sync("shared")
""")
    assert len(sites(script, "tir.drop-barrier", CUDA)) == 1
    assert sites(script, "tir.move-barrier", CUDA) == []

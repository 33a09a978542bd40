"""The sites of TIR operators and the mutated nodes; no kernel is built."""

from __future__ import annotations

from typing import Any

import pytest
import tvm
import tvm_ffi
from mutated_kernels import CATALOGUE, parsed, selection
from tvm import tirx
from tvm.ir import prim

from tvm_mutate.mutant import Slot, TirRule
from tvm_mutate.passes import Site, apply_mutations, count_all_sites, find_sites
from tvm_mutate.pipeline import lower_kernels

TIR_MUTANTS = [
    pytest.param(str(each.mutation(variant, slot)).removesuffix("@*#*"), slot, id=f"{each.mutation(variant)}-{slot}")
    for each in CATALOGUE.values()
    if isinstance(each.rule, TirRule) and each.name.startswith("tir.")
    for variant in each.all_variants()
    for slot in each.slots
]
KERNEL = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16, 16), "float32"), B: T.Buffer((8,), "float32"), C: T.Buffer((8,), "int32")):
    T.func_attr({"global_symbol": "main"})
    P = T.alloc_buffer((18, 16), "float32")
    for i, j in T.grid(18, 16):
        with T.sblock("pad"):
            vi, vj = T.axis.remap("SS", [i, j])
            P[vi, vj] = T.if_then_else(1 <= vi and vi < 17, A[vi - 1, vj], T.float32(0.5))
    for i, k in T.grid(9, 16):
        with T.sblock("pool"):
            vi = T.axis.spatial(8, i)
            vk = T.axis.reduce(16, k)
            T.where(i < 8)
            with T.init():
                B[vi] = T.float32(-1)
            B[vi] = T.max(B[vi], T.min(P[vi * 2, vk], T.float32(6)))
    for i in range(8):
        if A[i, 0] > A[i, 1] and C[i] != 3 and C[T.max(i - 1, 2)] == 3 and C[i] >= C[0]:
            C[i] = T.Select(C[i] > 4, 4, C[i])
"""
THREADS = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((64,), "float32"), B: T.Buffer((64,), "float32")):
    for b in T.thread_binding(4, thread="blockIdx.x"):
        for t in T.thread_binding(16, thread="threadIdx.x"):
            with T.sblock("copy"):
                vi = T.axis.spatial(64, b * 16 + t)
                B[vi] = A[vi]
"""


def stage(slot: Slot) -> tvm.IRModule:
    module = parsed(KERNEL)
    return module if slot is Slot.KERNEL else lower_kernels(module, tvm.target.Target("llvm"), slot)


def sites_in(statement: str, mutant: str) -> list[Site]:
    """The sites of a mutant in one statement over float32, int8, uint8 and truth values."""
    script = f"""
@T.prim_func(s_tir=True)
def main(F: T.Buffer((16,), "float32"), I: T.Buffer((16,), "int8"), U: T.Buffer((16,), "uint8"),
         L: T.Buffer((16,), "bool"), ONE: T.Buffer((1,), "float32"), i: T.int32, n: T.int32):
    {statement}
"""
    return find_sites(parsed(script), selection(f"{mutant}@*#*"))


@pytest.mark.parametrize(("name", "slot"), TIR_MUTANTS)
def test_sites_are_mutated_one_by_one_or_all_at_once(name: str, slot: Slot):
    module = stage(slot)
    sites = find_sites(module, selection(f"{name}@*#*"))
    assert sites == find_sites(module, selection(f"{name}@*#*"))
    assert [site.ordinal for site in sites] == list(range(len(sites)))
    assert count_all_sites(module, [selection(f"{name}@*#*")])[0] == ({"main": len(sites)} if sites else {})
    singles = [selection(f"{name}@main#{site.ordinal}") for site in sites]
    mutants = [module]
    for single in singles:
        mutated, report = apply_mutations(module, [single])
        assert [applied.sites for applied in report] == [(int(str(single.mutation.sites)),)]
        assert not any(tvm_ffi.structural_equal(mutated, other) for other in mutants)
        mutants.append(mutated)
    at_once, _ = apply_mutations(module, [selection(f"{name}@*#*")])
    one_by_one, _ = apply_mutations(module, singles)
    tvm.ir.assert_structural_equal(at_once, one_by_one)


@pytest.mark.parametrize("slot", [Slot.LOWERED, Slot.CODEGEN], ids=str)
def test_argument_checks_of_a_host_kernel_are_no_sites(slot: Slot):
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    T.func_attr({"global_symbol": "main"})
    for i in range(16):
        B[i] = A[i]
"""
    module = lower_kernels(parsed(script), tvm.target.Target("llvm"), slot)
    checks: list[Any] = []
    tvm_ffi.structural_walk(module["main"], [((prim.EQ, prim.NE, prim.LT, prim.GE), checks.append)])
    assert len(checks) > 10
    for mutant in ("tir.swap-compare{from=eq,to=ne}", "tir.swap-compare{from=ge,to=lt}", "tir.shift-threshold"):
        assert find_sites(module, selection(f"{mutant}@*#*")) == []
    assert len(find_sites(module, selection("tir.offset-store@*#*"))) == 1


def test_checks_of_return_codes_are_no_sites():
    module = stage(Slot.CODEGEN)
    assert "TVMBackendFreeWorkspace" in module.script()
    for mutant in ("tir.swap-compare{from=ne,to=eq}", "tir.shift-threshold", "tir.scale-threshold"):
        sites = find_sites(module, selection(f"{mutant}@*#*"))
        assert sites
        assert not any("Workspace" in site.before for site in sites)


def test_declared_reads_of_a_block_are_no_sites():
    script = """
@T.prim_func(s_tir=True)
def main(A: T.Buffer((16,), "float32"), B: T.Buffer((16,), "float32")):
    for i in range(16):
        with T.sblock("copy"):
            vi = T.axis.spatial(16, i)
            T.reads(A[T.max(vi - 1, 0)])
            T.writes(B[vi])
            B[vi] = A[T.max(vi - 1, 0)]
"""
    assert len(find_sites(parsed(script), selection("tir.swap-compare{from=gt,to=lt}@*#*"))) == 1


@pytest.mark.parametrize(
    ("statement", "mutant"),
    [
        ("F[i] = T.float32(0)", "tir.store-through{type=int8}"),
        ("F[i] = T.float32(3)", "tir.store-through{type=int8}"),
        ("I[i] = T.int8(3)", "tir.store-through{type=int8}"),
        ("F[i] = T.float32(0)", "tir.scale-store"),
        ("F[i] = T.float32(7)", "tir.scale-store{epsilon=1e-08}"),
        ("F[i] = T.float32(3.4028234663852886e38)", "tir.scale-store"),
        ("I[i] = I[0]", "tir.offset-store"),
        ("F[0] = F[i]", "tir.shift-store-index"),
        ("ONE[n] = F[i]", "tir.shift-store-index"),
        ("F[T.Ramp(0, 1, 4)] = T.Broadcast(T.float32(1), 4)", "tir.shift-store-index"),
        ("I[i] = T.max(I[i], T.int8(0))", "tir.swap-compare{from=gt,to=ge}"),
        ("L[i] = L[0] == L[1]", "tir.swap-compare{from=eq,to=lt}"),
        ("L[i] = L[0] == L[1]", "tir.shift-threshold"),
        ("L[i] = i <= n", "tir.shift-threshold{by=0.5}"),
        ("L[i] = U[i] < U[0]", "tir.shift-threshold"),
        ("L[i] = I[i] < T.int8(127)", "tir.shift-threshold"),
        ("L[i] = F[i] < T.float32(1e30)", "tir.shift-threshold"),
        ("L[i] = i < n", "tir.scale-threshold"),
        ("L[i] = i < 0", "tir.scale-threshold"),
        ("L[i] = F[i] < T.float32(0)", "tir.percent-threshold"),
        ("for j in range(n):\n        F[j] = F[0]", "tir.loop-extent"),
        ("for j in range(3, 4):\n        F[j] = F[0]", "tir.loop-start"),
        ("for j in range(4):\n        F[j] = F[0]", "tir.thread-extent"),
    ],
)
def test_there_is_no_site_where_nothing_would_change_or_the_type_forbids_it(statement: str, mutant: str):
    assert sites_in(statement, mutant) == []


@pytest.mark.parametrize(
    ("statement", "mutant", "after"),
    [
        ("F[i] = T.float32(1)", "tir.offset-store", "F[i] = T.float32(0.99951171875)"),
        ("F[i] = T.float32(0.5)", "tir.store-through{type=int8}", 'Cast("int8", T.float32(0.5))'),
        ("F[15] = F[i]", "tir.shift-store-index", "F[14] = F[i]"),
        ("L[i] = L[0] == L[1]", "tir.swap-compare{from=eq,to=ne}", "L[0] != L[1]"),
        ("F[i] = T.max(F[i], T.float32(0))", "tir.swap-compare{from=gt,to=ge}", "F[i] >= T.float32(0.0)"),
        ("L[i] = F[i] < F[0]", "tir.shift-threshold{by=-0.5}", "F[i] < F[0] - T.float32(0.5)"),
        ("L[i] = i < n", "tir.shift-threshold", "i < n + 1"),
        ("L[i] = i == n", "tir.shift-threshold{by=0.5}", "T.bool(False)"),
        ("L[i] = i != n", "tir.shift-threshold{by=0.5}", "T.bool(True)"),
        ("L[i] = U[i] < T.uint8(3)", "tir.shift-threshold", "U[i] < T.uint8(4)"),
        ("L[i] = i < 35", "tir.percent-threshold{percent=-10.0}", "i < 32"),  # 31.5: ties go to the even one
    ],
)
def test_the_mutated_node_is_simple_code(statement: str, mutant: str, after: str):
    (site,) = sites_in(statement, mutant)
    assert after in site.after


def test_thread_extents_reach_the_launch_of_a_gpu_kernel():
    module, _ = apply_mutations(parsed(THREADS), [selection("tir.thread-extent@*#*")])
    cuda = tvm.target.Target({"kind": "cuda", "arch": "sm_90"}, host="llvm")
    body = tvm.tirx.get_tir_pipeline("default")[0]
    lowered = body(tirx.transform.BindTarget(cuda)(module))
    extents = {}
    tvm_ffi.structural_walk(
        lowered["main_kernel"],
        [((tirx.AttrStmt,), lambda node: extents.update({node.node.thread_tag: int(node.value)}))],
    )
    assert extents == {"blockIdx.x": 3, "threadIdx.x": 15}
    assert find_sites(parsed(THREADS), selection("tir.loop-extent@*#*")) == []

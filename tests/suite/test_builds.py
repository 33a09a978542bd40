"""Tests that build a kernel more than once, and kernels for other code generators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm.script import ir as I  # noqa: N812
from tvm.script import tirx as T  # noqa: N812

from tvm_mutate.suite import RECORD

from . import small_suite
from .conftest import run_session
from .small_suite import suite_test


def test_a_test_of_two_builds_kills_what_is_in_one_of_them(tmp_path: Path):
    tests = [suite_test(small_suite.compares_two_builds)]
    (row,) = run_session(tmp_path, tests, builds="each").mutants
    assert (row["verdict"], row["kind"], len(row["trials"])) == ("killed", "assertion", 1)


def test_each_of_one_build_is_all(tmp_path: Path):
    tests = [suite_test(small_suite.asserts)]
    run_session(tmp_path, tests)
    again = run_session(tmp_path, tests, builds="each")
    assert again.effort["trials"] == 0


def test_a_library_of_c_that_was_exported_tells_that_it_runs(tmp_path: Path):
    def exports() -> None:
        library = small_suite.build(4, target="c")
        library.export_library(str(tmp_path / "kernel.so"))
        loaded = tvm.runtime.load_module(str(tmp_path / "kernel.so"))
        np.testing.assert_array_equal(small_suite.call(loaded, 4), [3, 4, 5, 6])

    (row,) = run_session(tmp_path / "journal", [suite_test(exports)], mode=RECORD).tests
    assert (row["outcome"], row["kernels_executed"], row["obstacle"]) == ("passed", 1, "")


def test_what_one_test_keeps_does_not_hide_builds_of_another(tmp_path: Path):
    kept: list[tvm.runtime.Module] = []

    def cached() -> tvm.runtime.Module:
        if not kept:
            kept.append(small_suite.build(4))
        return kept[0]

    def first() -> None:
        small_suite.call(cached(), 4)

    def second() -> None:
        small_suite.call(cached(), 4)

    rows = run_session(tmp_path, [suite_test(first), suite_test(second)], mode=RECORD).tests
    assert [row["builds"] for row in rows] == [1, 1]


def test_a_test_that_looks_at_the_code_is_not_known_to_run_its_kernels(tmp_path: Path):
    plain = small_suite.build(4).inspect_source("ll").count("call ")

    def counts_calls() -> None:
        assert small_suite.build(4).inspect_source("ll").count("call ") == plain

    (row,) = run_session(tmp_path, [suite_test(counts_calls)], mode=RECORD).tests
    assert (row["outcome"], row["kernels_executed"]) == ("passed", None)
    assert row["obstacle"].startswith("assertion")


@pytest.mark.parametrize("sites", ["all", "first", "each", "sample:2"])
def test_sites_are_those_that_are_asked_for(tmp_path: Path, sites: str):
    tests = [suite_test(small_suite.asserts), suite_test(small_suite.raises)]
    results = run_session(tmp_path, tests, sites=sites, budget=1e-9)
    assert results.effort["mutants_planned"] == 2


def test_what_was_never_written_is_not_zero_by_chance(tmp_path: Path):
    def sums() -> None:
        given = tvm.te.placeholder((4, 8), "float32")
        axis = tvm.te.reduce_axis((0, 8))
        total = tvm.te.compute((4,), lambda i: tvm.te.sum(given[i, axis], axis))
        library = tvm.tirx.build(tvm.te.create_prim_func([given, total]), "llvm")
        left = tvm.runtime.empty((4,), "float32")
        library["main"](tvm.runtime.tensor(np.ones((4, 8), "float32")), left)
        assert (left.numpy() == 8).all()

    (row,) = run_session(tmp_path, [suite_test(sums)], operators=("tir.drop-initialisation",)).mutants
    assert (row["verdict"], row["kind"]) == ("killed", "assertion")


def test_a_fault_in_the_list_of_passes_is_in_all_kernels_and_in_no_score(tmp_path: Path):
    mutant = "pipeline.skip-pass{pass=tirx.MakePackedAPI}@*#0"
    (row,) = run_session(tmp_path, [suite_test(small_suite.asserts)], mutants=(mutant,)).mutants
    assert (row["verdict"], row["category"]) == ("killed", "Compiler Passes")


def test_what_a_kernel_returns_is_among_its_values(tmp_path: Path):
    @T.prim_func(s_tir=True)
    def shifted(value: T.float32) -> T.float32:
        return value + T.float32(2)

    def returns() -> None:
        tvm.tirx.build(shifted, "llvm")["shifted"](5.0)

    (row,) = run_session(tmp_path, [suite_test(returns)]).mutants
    assert (row["verdict"], row["reason"]) == ("survived", "values changed, within the tolerance")


def test_a_kernel_that_writes_into_fresh_memory_is_told_by_what_it_leaves(tmp_path: Path):
    def fresh() -> None:
        left = tvm.runtime.empty((4,), "float32")
        small_suite.build(4)["main"](tvm.runtime.tensor(np.ones(4, "float32")), left)

    (row,) = run_session(tmp_path, [suite_test(fresh)]).mutants
    assert (row["verdict"], row["reason"]) == ("survived", "values changed, within the tolerance")


def test_a_function_that_only_others_call_is_not_run_where_none_of_these_is(tmp_path: Path):
    @I.ir_module(s_tir=True)
    class Calling:
        @T.prim_func(s_tir=True)
        def main(given: T.Buffer((1,), "float32")):  # noqa: N805
            Calling.inner(given.data)

        @T.prim_func(private=True, s_tir=True)
        def inner(data: T.handle("float32")):  # noqa: N805
            given = T.decl_buffer((1,), "float32", data=data)
            given[0] = given[0] + T.float32(2)

    def builds() -> None:
        tvm.tirx.build(Calling, "llvm")

    def calls() -> None:
        tvm.tirx.build(Calling, "llvm")["main"](tvm.runtime.tensor(np.zeros(1, "float32")))

    not_run, run = run_session(tmp_path, [suite_test(builds), suite_test(calls)], mode=RECORD).tests
    assert (not_run["kernels"], not_run["kernels_executed"], not_run["kernels_unknown"]) == (2, 0, 0)
    assert (run["kernels"], run["kernels_executed"], run["kernels_unknown"]) == (2, 1, 1)

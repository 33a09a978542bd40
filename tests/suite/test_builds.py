"""Tests that build a kernel more than once, and kernels for other code generators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tvm
from tvm.script import ir as I  # noqa: N812
from tvm.script import tirx as T  # noqa: N812

from tvm_mutate.results import SuiteMode

from . import small_suite
from .conftest import run_suite
from .small_suite import suite_test


def test_a_mutant_in_one_build_is_killed_by_a_test_that_compares_two_builds(tmp_path: Path):
    tests = [suite_test(small_suite.compares_two_builds)]
    (row,) = run_suite(tmp_path, tests, builds="each").mutants
    assert (row.verdict, row.kind, len(row.trials)) == ("killed", "assertion", 1)


def test_for_a_test_with_one_build_each_build_means_all_builds(tmp_path: Path):
    tests = [suite_test(small_suite.asserts)]
    run_suite(tmp_path, tests)
    again = run_suite(tmp_path, tests, builds="each")
    assert again.effort.trials == 0


def test_calls_of_an_exported_c_library_are_counted(tmp_path: Path):
    def exports() -> None:
        library = small_suite.build(4, target="c")
        library.export_library(str(tmp_path / "kernel.so"))
        loaded = tvm.runtime.load_module(str(tmp_path / "kernel.so"))
        np.testing.assert_array_equal(small_suite.call(loaded, 4), [3, 4, 5, 6])

    (row,) = run_suite(tmp_path / "journal", [suite_test(exports)], mode=SuiteMode.RECORD).tests
    assert (row.outcome, row.kernels_executed, row.obstacle) == ("passed", 1, "")


def test_a_build_that_one_test_caches_is_recorded_for_another_test_too(tmp_path: Path):
    kept: list[tvm.runtime.Module] = []

    def cached() -> tvm.runtime.Module:
        if not kept:
            kept.append(small_suite.build(4))
        return kept[0]

    def first() -> None:
        small_suite.call(cached(), 4)

    def second() -> None:
        small_suite.call(cached(), 4)

    rows = run_suite(tmp_path, [suite_test(first), suite_test(second)], mode=SuiteMode.RECORD).tests
    assert [row.builds for row in rows] == [1, 1]


def test_executed_kernels_are_unknown_if_a_test_inspects_the_generated_code(tmp_path: Path):
    plain = small_suite.build(4).inspect_source("ll").count("call ")

    def counts_calls() -> None:
        assert small_suite.build(4).inspect_source("ll").count("call ") == plain

    (row,) = run_suite(tmp_path, [suite_test(counts_calls)], mode=SuiteMode.RECORD).tests
    assert (row.outcome, row.kernels_executed) == ("passed", None)
    assert row.obstacle.startswith("assertion")


@pytest.mark.parametrize("sites", ["all", "first", "each", "sample:2"])
def test_each_way_to_choose_sites_plans_mutants(tmp_path: Path, sites: str):
    tests = [suite_test(small_suite.asserts), suite_test(small_suite.raises)]
    results = run_suite(tmp_path, tests, sites=sites, budget=1e-9)
    assert results.effort.mutants_planned == 2


def test_unwritten_memory_is_not_zero_by_chance(tmp_path: Path):
    def sums() -> None:
        given = tvm.te.placeholder((4, 8), "float32")
        axis = tvm.te.reduce_axis((0, 8))
        total = tvm.te.compute((4,), lambda i: tvm.te.sum(given[i, axis], axis))
        library = tvm.tirx.build(tvm.te.create_prim_func([given, total]), "llvm")
        left = tvm.runtime.empty((4,), "float32")
        library["main"](tvm.runtime.tensor(np.ones((4, 8), "float32")), left)
        assert (left.numpy() == 8).all()

    (row,) = run_suite(tmp_path, [suite_test(sums)], operators=("tir.drop-initialisation",)).mutants
    assert (row.verdict, row.kind) == ("killed", "assertion")


def test_a_fault_in_the_list_of_passes_has_the_category_of_compiler_passes(tmp_path: Path):
    mutant = "pipeline.skip-pass{pass=tirx.MakePackedAPI}@*#0"
    (row,) = run_suite(tmp_path, [suite_test(small_suite.asserts)], mutants=(mutant,)).mutants
    assert (row.verdict, row.category) == ("killed", "Compiler Passes")


def returns() -> None:
    @T.prim_func(s_tir=True)
    def shifted(value: T.float32) -> T.float32:
        return value + T.float32(2)

    tvm.tirx.build(shifted, "llvm")["shifted"](5.0)


def writes_into_fresh_memory() -> None:
    left = tvm.runtime.empty((4,), "float32")
    small_suite.build(4)["main"](tvm.runtime.tensor(np.ones(4, "float32")), left)
    assert (abs(left.numpy()) < 10).all()  # unlike fresh memory


@pytest.mark.parametrize("test", [returns, writes_into_fresh_memory])
def test_a_changed_result_and_changed_fresh_memory_are_changed_values(tmp_path: Path, test: Callable[[], None]):
    (row,) = run_suite(tmp_path, [suite_test(test)]).mutants
    assert (row.verdict, row.reason) == ("survived", "values changed, within the tolerance")


def test_an_uninstrumented_function_does_not_run_if_no_caller_runs(tmp_path: Path):
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

    not_run, run = run_suite(tmp_path, [suite_test(builds), suite_test(calls)], mode=SuiteMode.RECORD).tests
    assert (not_run.kernels, not_run.kernels_executed, not_run.kernels_unknown) == (2, 0, 0)
    assert (run.kernels, run.kernels_executed, run.kernels_unknown) == (2, 1, 1)

"""The public Python API, on a model of the zoo."""

from __future__ import annotations

import json
import pydoc
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import tvm
from tvm_ffi import structural_equal

import tvm_mutate
from tvm_mutate import NotAppliedError, NotAppliedWarning, Slot, Specification, UsageError

SIGMOID = "graph.replace-activation{to=sigmoid}@main#0"
STORES = "tir.store-through{type=float16}@fused_conv2d_add_relu#*"


@pytest.fixture(scope="module")
def model() -> tvm_mutate.Model:
    return tvm_mutate.load_model("zoo://alexnet")


@pytest.fixture(scope="module")
def kernels(model: tvm_mutate.Model) -> tvm.IRModule:
    return tvm_mutate.lower(model, "kernel")


def test_every_public_name_exists_and_help_shows_its_documentation():
    text = pydoc.render_doc(tvm_mutate, renderer=pydoc.plaintext)
    for name in tvm_mutate.__all__:
        assert getattr(tvm_mutate, name).__doc__, name
        assert name in text
    assert {*tvm_mutate.__all__} <= {*dir(tvm_mutate)}
    with pytest.raises(AttributeError, match="no attribute 'deactivate'"):
        _ = tvm_mutate.deactivate


def test_importing_the_package_and_its_errors_does_not_import_tvm():
    program = "import sys, tvm_mutate; tvm_mutate.NotAppliedError; print('tvm' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "False\n"


def test_operators_are_listed_by_globs_of_their_names():
    (found,) = tvm_mutate.list_operators(["tir.drop-s*"])
    assert (found.name, found.slots[0]) == ("tir.drop-store", Slot.LOWERED)
    assert len(tvm_mutate.list_operators()) > len(tvm_mutate.list_operators(["default"])) > 50
    with pytest.raises(UsageError, match=r"did you mean 'tir.drop-store'\?"):
        tvm_mutate.list_operators(["tir.drop-stores"])


def test_the_listed_mutants_are_applied(model: tvm_mutate.Model):
    asked = Specification(operators=("graph.replace-activation",), sites="first")
    mutants = tvm_mutate.list_mutants(model, asked)
    assert SIGMOID in mutants
    for mutant in mutants:
        mutated = tvm_mutate.apply(model.module, mutant)
        assert not structural_equal(mutated, model.module)
        tvm.ir.assert_structural_equal(tvm_mutate.apply(model, mutant), mutated)


def test_a_mutant_of_a_kernel_is_applied_to_the_lowered_module(kernels: tvm.IRModule):
    mutated = tvm_mutate.apply(kernels, STORES)
    changed = [each.name_hint for each in kernels.functions if not structural_equal(kernels[each], mutated[each])]
    assert changed == ["fused_conv2d_add_relu"]


@pytest.mark.parametrize(
    ("mutant", "reason"),
    [
        ("tir.swap-loops@fused_conv3d#*", "no function is named 'fused_conv3d'; there are "),
        ("tir.loop-extent{by=1}@fused_matmul*#999", "there is no site #999; the last one is #"),
        ("tir.plain-atomic@fused_conv2d_add_relu#*", "tir.plain-atomic has no site in 'fused_conv2d_add_relu'"),
    ],
)
def test_a_mutant_that_changes_nothing_is_an_error_with_the_reason(kernels: tvm.IRModule, mutant: str, reason: str):
    with pytest.raises(NotAppliedError) as raised:
        tvm_mutate.apply(kernels, mutant)
    assert str(raised.value).startswith(f"mutant {mutant}: {reason}")


def test_a_mutant_of_kernels_is_not_applied_to_a_module_without_kernels(model: tvm_mutate.Model):
    with pytest.raises(NotAppliedError, match=r"the module has no kernel; call tvm_mutate\.lower"):
        tvm_mutate.apply(model.module, STORES)


@pytest.mark.parametrize(
    ("mutant", "reason"),
    [
        (f"{SIGMOID}+{STORES}", "acts in the slots graph, kernel; apply its mutations one by one"),
        ("code.fast-math@*#*", "changes generated code, not a module; use tvm_mutate.activate"),
        ("pipeline.skip-pass{pass=tirx.VectorizeLoop}@*#*", "changes TVM's lists of passes, not a module"),
        ("tir.drop-stores@*#*", "did you mean 'tir.drop-store'?"),
    ],
)
def test_a_mutant_that_no_single_module_holds_is_refused(model: tvm_mutate.Model, mutant: str, reason: str):
    with pytest.raises(UsageError) as raised:
        tvm_mutate.apply(model.module, mutant)
    assert reason in str(raised.value)


def test_a_slot_without_a_module_is_refused(model: tvm_mutate.Model):
    with pytest.raises(UsageError, match="slot 'text' has no module; there are import, shape, graph, kernel"):
        tvm_mutate.lower(model, "text")


def test_a_pass_mutates_in_silence_and_warns_where_its_site_does_not_exist(model: tvm_mutate.Model):
    reports: list = []
    passes = tvm_mutate.mutant_passes(SIGMOID, on_applied=reports.extend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mutated = passes[Slot.GRAPH](model.module)
    assert [(each.function, each.sites, each.changed) for each in reports] == [("main", (0,), True)]
    tvm.ir.assert_structural_equal(mutated, tvm_mutate.apply(model.module, SIGMOID))
    absent = SIGMOID.replace("#0", "#999")
    with pytest.warns(NotAppliedWarning, match="the module is not mutated: .* there is no site #999"):
        unmutated = tvm_mutate.mutant_passes(absent)[Slot.GRAPH](model.module)
    tvm.ir.assert_structural_equal(unmutated, model.module)


def test_a_fault_in_the_list_of_passes_is_no_pass():
    with pytest.raises(UsageError, match="has no pass of its own"):
        tvm_mutate.mutant_passes("pipeline.skip-pass{pass=tirx.VectorizeLoop}@*#*")


@pytest.mark.parametrize(("function", "applied"), [("*", True), ("nowhere", False)])
def test_a_build_with_mutated_pipelines_warns_if_the_mutant_is_not_in_it(function: str, applied: bool):
    kernel = """
@I.ir_module(s_tir=True)
class Module:
    @T.prim_func(s_tir=True)
    def main(A: T.Buffer((8,), "float32")):
        T.func_attr({"global_symbol": "main"})
        for i in range(8):
            A[i] = A[i] + T.float32(1)
"""
    module = tvm.script.from_source(kernel)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mutant = f"tir.drop-store@{function}#*"
        with tvm_mutate.mutated_pipelines(mutant) as (_, tir_pipeline):
            tvm.tirx.build(module, "llvm", pipeline=tir_pipeline)
    assert any(issubclass(each.category, NotAppliedWarning) for each in caught) is not applied


def test_a_campaign_returns_typed_results_and_leaves_them_to_be_read(tmp_path: Path):
    chosen = Specification(mutants=(SIGMOID, SIGMOID))
    results = tvm_mutate.run_campaign(
        "zoo://alexnet", specification=chosen, limit=4, output=tmp_path / "out", workers=1
    )
    (row,) = results.mutants
    assert isinstance(row, tvm_mutate.MutantRow)
    assert (row.id, row.model, row.device, row.inputs) == (SIGMOID, "alexnet", "llvm", 4)
    assert row.verdict in ("killed", "survived")
    assert (
        tvm_mutate.read_results(tmp_path / "out") == tvm_mutate.read_results(tmp_path / "out/results.json") == results
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "model.onnx"}, "model.onnx: there is no such model"),
        ({"model": json.__file__}, "has no function 'model'"),
        ({"devices": ["llvn"]}, "llvn"),
        ({"specification": Specification(operators=())}, "names no operator"),
        ({"specification": Specification(slots=("cellar",))}, "'cellar' is not a slot"),
        ({"specification": Specification(sites="some")}, "'some' is not known"),
        ({"specification": Specification(mutants=("tir.drop-store",))}, "does not parse"),
    ],
)
def test_a_campaign_that_cannot_run_is_refused_before_anything_is_written(tmp_path: Path, changes: dict, reason: str):
    arguments = {"model": "zoo://alexnet", "output": tmp_path / "out", **changes}
    with pytest.raises(UsageError, match=reason):
        tvm_mutate.run_campaign(**arguments)
    assert not (tmp_path / "out").exists()

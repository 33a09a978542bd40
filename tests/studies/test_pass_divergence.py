"""The first pass after which the IR of two targets differs."""

from __future__ import annotations

import pytest

from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import selections_by_slot
from tvm_mutate.pipeline import Fused, Stages
from tvm_mutate.studies.pass_divergence import PassDivergence, differing_functions, find_pass_divergence

CATALOGUE = builtin_catalogue()
KERNEL = "max_pool2d"


@pytest.fixture(scope="module")
def model() -> Fused:
    return Fused(load_model("zoo://alexnet").module)


def divergence(
    model: Fused, first: str, second: str, mutant: str = "", kernel: str | None = KERNEL
) -> PassDivergence | None:
    stages = [Stages(model, parse_target(target)) for target in (first, second)]
    selections = selections_by_slot(CATALOGUE.parse(mutant).mutations, CATALOGUE) if mutant else {}
    return find_pass_divergence(stages[0], stages[1], selections, kernel)


@pytest.mark.parametrize("second", ["llvm", '{"kind":"llvm","mcpu":"x86-64-v3"}', '{"kind":"llvm","fast-math":true}'])
def test_llvm_with_other_options_has_the_same_ir_after_every_pass(model: Fused, second: str):
    assert divergence(model, "llvm", second, "tir.swap-compare{from=lt,to=le}@*#*") is None


def test_llvm_and_c_diverge_where_intrinsics_are_lowered(model: Fused):
    found = divergence(model, "llvm", "c", kernel="fused_conv2d_add_relu")
    assert found is not None
    assert (found.stage, found.first, found.second) == ("host", ("tirx.LowerIntrin",), ("tirx.LowerIntrin",))
    assert found.functions == ("fused_conv2d_add_relu",)


def test_a_gpu_diverges_at_the_schedule_that_only_gpus_have(model: Fused):
    found = divergence(model, "llvm", '{"kind":"cuda","arch":"sm_80"}')
    assert found is not None
    assert (found.stage, found.first, found.second) == ("scheduling", (), ("ApplyDefaultSchedule",))
    assert KERNEL in found.functions


def test_functions_that_differ_are_named(model: Fused):
    stages = Stages(model, parse_target("llvm"))
    before = stages.mutated({}, [])
    selections = selections_by_slot(
        CATALOGUE.parse("tir.swap-compare{from=lt,to=le}@max_pool2d#0").mutations, CATALOGUE
    )
    assert differing_functions(before, stages.mutated(selections, [])) == ("max_pool2d",)
    assert differing_functions(before, before) == ()

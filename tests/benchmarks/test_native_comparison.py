"""Passes in C++ and in Python on kernels of the zoo; the whole of it is for benchmarks/native.py."""

from __future__ import annotations

import pytest
from measuring import native
from measuring.native import Compared, compare, native_selections

from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Slot
from tvm_mutate.native import native_library
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import mutation_pass
from tvm_mutate.pipeline import Stages, kernels_of

pytestmark = pytest.mark.skipif(not native_library(), reason=str(native_library().obstacle))

CATALOGUE = builtin_catalogue()
CUDA = '{"kind":"cuda","arch":"sm_80"}'


@pytest.fixture(scope="module")
def alexnet() -> Stages:
    return Stages(load_model("zoo://alexnet").module, parse_target("llvm"))


@pytest.mark.parametrize("slot", [Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN])
def test_every_kernel_of_a_model_comes_out_the_same_in_every_slot(slot: Slot, alexnet: Stages):
    found = compare(kernels_of(alexnet.at(slot)), list(native_selections(CATALOGUE, slot)), most=2)
    assert found.different == []
    assert found.kernels >= 8
    assert found.passes > found.kernels * 40
    assert found.rewritten > found.passes // 3


def test_kernels_scheduled_for_gpus_come_out_the_same():
    stages = Stages(load_model("zoo://alexnet").module, parse_target(CUDA))
    found = Compared()
    for slot in (Slot.KERNEL, Slot.LOWERED):
        found.add(compare(kernels_of(stages.at(slot)), list(native_selections(CATALOGUE, slot)), most=0))
    assert found.different == []
    assert found.rewritten > 300


def test_the_comparison_notices_another_site_and_another_replacement(alexnet: Stages, monkeypatch: pytest.MonkeyPatch):
    kernels = kernels_of(alexnet.at(Slot.LOWERED))
    selections = [each for each in native_selections(CATALOGUE, Slot.LOWERED) if each.operator.name == "tir.store-zero"]
    assert compare(kernels, selections).different == []
    (other,) = native_selections({"tir.drop-store": CATALOGUE["tir.drop-store"]}, Slot.LOWERED)
    monkeypatch.setattr(native, "native_mutation_pass", lambda _, on_applied: mutation_pass([other], on_applied))
    assert len(compare(kernels, selections).different) >= 8

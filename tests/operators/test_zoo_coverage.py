"""Every variant that a campaign takes by default has sites in the zoo, and those that have none say why."""

from __future__ import annotations

import pytest

from tvm_mutate.build import parse_target
from tvm_mutate.campaign import Specification
from tvm_mutate.campaign.survey import Survey, survey
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Mutant, Slot
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.pipeline import FoldingCache, Fused, Stages
from tvm_mutate.zoo import ZOO_NAMES

CATALOGUE = builtin_catalogue()
ON_GPUS_ONLY = {"tir.thread-extent"}
# What the networks of the zoo have nothing of in some slot; tests of its own show it on small kernels in all of them.
NOT_IN_THE_ZOO = {
    "tir.replace-intrinsic": "they end in logits, without softmax, and have no sigmoid",
}
NOT_IN_ALEXNET = {
    **NOT_IN_THE_ZOO,
    "tir.swap-division": "it splits no index",
    "tir.drop-guard": "its blocks have no predicates before they are lowered",
    "tir.narrow-index": "its dimensions are short before they are made flat",
}


@pytest.fixture(scope="module")
def surveys() -> dict[str, Survey]:
    folding, target = FoldingCache(), parse_target("llvm")
    return {
        name: survey(Stages(Fused(load_model(f"zoo://{name}").module, folding), target), Specification(), CATALOGUE)
        for name in ZOO_NAMES
    }


def test_every_default_variant_has_a_site_in_some_model_of_the_zoo(surveys: dict[str, Survey]):
    found = {mutant for each in surveys.values() for mutant in each.mutants}
    absent = {mutant for each in surveys.values() for mutant in each.absent}
    elsewhere = ON_GPUS_ONLY | set(NOT_IN_THE_ZOO)
    missing = {mutant for mutant in absent - found if Mutant.parse(mutant).mutations[0].operator not in elsewhere}
    assert not missing


def test_every_variant_is_either_a_mutant_or_absent_with_a_reason_in_every_model(surveys: dict[str, Survey]):
    together = {frozenset(each.mutants) | frozenset(each.absent) for each in surveys.values()}
    assert len(together) == 1
    assert all(reason.startswith("no site: ") for each in surveys.values() for reason in each.absent.values())


@pytest.mark.parametrize("operator", sorted(ON_GPUS_ONLY))
def test_operators_on_threads_have_sites_in_kernels_scheduled_for_gpus(operator: str):
    stages = Stages(load_model("zoo://alexnet").module, parse_target('{"kind":"cuda","arch":"sm_80"}'))
    found = survey(stages, Specification(operators=(operator,)), CATALOGUE)
    assert found.mutants
    assert not found.absent


@pytest.mark.parametrize("slot", [Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN])
def test_operators_on_tir_have_sites_in_each_of_their_slots(slot: Slot):
    stages = Stages(load_model("zoo://alexnet").module, parse_target("llvm"))
    specification = Specification(operators=("tir.*",), slots=(str(slot),))
    found = {Mutant.parse(mutant).mutations[0].operator for mutant in survey(stages, specification, CATALOGUE).mutants}
    offered = {name for name, operator in CATALOGUE.items() if slot in operator.slots and name.startswith("tir.")}
    assert found >= offered - ON_GPUS_ONLY - set(NOT_IN_ALEXNET)
    assert found <= offered - ON_GPUS_ONLY - set(NOT_IN_THE_ZOO)

"""Every variant that a campaign takes by default has sites in the zoo, and those that have none say why."""

from __future__ import annotations

import pytest
import tvm

from tvm_mutate.campaign import Specification, Survey
from tvm_mutate.campaign.survey import survey
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.model.zoo import DECODER, ZOO_NAMES
from tvm_mutate.mutant import GraphRule, Mutant, Sites, Slot, TextRule
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, apply_mutations, count_all_sites
from tvm_mutate.pipeline import Fused, LoweringCache, Stages

CATALOGUE = builtin_catalogue()
ON_IR = [name for name, operator in CATALOGUE.items() if not isinstance(operator.rule, TextRule)]
GRAPH_OPERATORS = [
    name
    for name, operator in CATALOGUE.items()
    if isinstance(operator.rule, GraphRule) and operator.slots == (Slot.GRAPH,)
]
NO_SUCH = "no model of the zoo raises to a power or scales a sum"
# Variants that no model of the zoo has a site for, and why; test_layers.py runs them on networks of ours.
NOT_IN_THE_ZOO = {
    "tir.drop-guard": "blocks have no predicates before they are lowered; in the other slots there are sites",
    "graph.swap-operands{at=power}": NO_SUCH,
    "graph.wrong-axis{of=reduction}": "only images are averaged, over both of their axes; transformers differ",
    "graph.undistribute-scale{scaled=first}": NO_SUCH,
    "graph.undistribute-scale{scaled=second}": NO_SUCH,
    "graph.drop-pair{kind=cast}": "all values of the zoo are float32",
    "graph.drop-pair{kind=quantisation}": "all values of the zoo are float32",
    "graph.wrong-slope": "the zoo has no leaky relu",
    "graph.wrong-resize{to=align_corners}": "classifiers do not resize images, segmentation and detection do",
    "graph.wrong-resize{to=asymmetric}": "classifiers do not resize images, segmentation and detection do",
    "graph.wrong-resize{to=half_pixel}": "classifiers do not resize images, segmentation and detection do",
}
ON_GPUS_ONLY = {
    "tir.thread-extent",
    "tir.drop-annotation",
    "tir.drop-barrier",
    "tir.move-barrier",
    "tir.change-scope",
    "tir.shuffle-lane",
    "codegen.vector-lanes",
}
ON_CPUS_IN_THE_DECODER = {"tir.drop-annotation"}  # TVM annotates the softmax with its axis
# No schedule of TVM's for these models pipelines a loop or updates atomically, and the image networks end in logits,
# without softmax, and have no sigmoid; no value is converted down and back, and kernels for CPUs get no vectors before
# LLVM: tests of the families have kernels.
IN_NO_MODEL = {
    "tir.drop-inverse",
    "codegen.pack-lanes",
    "tir.double-buffer-index",
    "tir.plain-atomic",
    "tir.replace-intrinsic",
    "codegen.replace-function",
    "codegen.replace-rounding",
}
# It splits no index, its blocks have no predicates before they are lowered, its dimensions are short until made flat.
NOT_IN_ALEXNET = {"tir.swap-division", "tir.drop-guard", "tir.narrow-index"}


@pytest.fixture(scope="module")
def surveys() -> dict[str, Survey]:
    cache, target = LoweringCache(), parse_target("llvm")
    return {
        name: survey(
            Stages(Fused(load_model(f"zoo://{name}").module, cache), target),
            Specification(operators=tuple(ON_IR)),
            CATALOGUE,
        )
        for name in (*ZOO_NAMES, DECODER)
    }


def test_every_default_variant_has_a_site_in_some_model_of_the_zoo(surveys: dict[str, Survey]):
    found = {mutant for each in surveys.values() for mutant in each.mutants}
    absent = {mutant for each in surveys.values() for mutant in each.absent}
    missing = absent - found
    elsewhere = {mutant for mutant in missing if operator_of(mutant) in ON_GPUS_ONLY | IN_NO_MODEL}
    assert {operator_of(mutant) for mutant in elsewhere} == (ON_GPUS_ONLY | IN_NO_MODEL) - ON_CPUS_IN_THE_DECODER
    assert missing - elsewhere == {f"{variant}@*#*" for variant in NOT_IN_THE_ZOO}


def operator_of(mutant: str) -> str:
    return Mutant.parse(mutant).mutations[0].operator


@pytest.mark.parametrize("name", ["densenet", "shufflenetv2"])
@pytest.mark.parametrize("operator", GRAPH_OPERATORS)
def test_graph_operators_keep_the_type_of_every_value_of_the_model(operator: str, name: str):
    module = load_model(f"zoo://{name}").module
    before = types(module)
    for variant in CATALOGUE[operator].all_variants():
        mutation = CATALOGUE[operator].mutation(variant)
        for ordinal in range(sum(count_all_sites(module, [Selection.resolve(mutation, CATALOGUE)])[0].values())):
            selection = Selection.resolve(mutation.at("main", Sites.parse(str(ordinal))), CATALOGUE)
            mutated, (applied,) = apply_mutations(module, [selection])
            assert applied.changed
            assert before <= types(mutated)


def types(module: tvm.IRModule) -> set[tuple[str, str]]:
    """The variables of the main function with their types; a mutation may add some of its own."""
    bindings = (binding for block in module["main"].body.blocks for binding in block.bindings)
    return {(binding.var.name, str(binding.var.ty)) for binding in bindings}


def test_every_variant_is_either_a_mutant_or_absent_with_a_reason_in_every_model(surveys: dict[str, Survey]):
    together = {frozenset(each.mutants) | frozenset(each.absent) for each in surveys.values()}
    assert len(together) == 1
    assert all(reason.startswith("no site: ") for each in surveys.values() for reason in each.absent.values())


def test_operators_on_threads_have_sites_in_kernels_scheduled_for_gpus():
    stages = Stages(load_model("zoo://resnet").module, parse_target('{"kind":"cuda","arch":"sm_80"}'))
    found = survey(stages, Specification(operators=tuple(ON_GPUS_ONLY)), CATALOGUE)
    assert {operator_of(mutant) for mutant in found.mutants} == ON_GPUS_ONLY
    assert not found.absent


@pytest.fixture(scope="module")
def resnet() -> Stages:
    return Stages(load_model("zoo://resnet").module, parse_target("llvm"))


@pytest.mark.parametrize("slot", [Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN])
def test_operators_on_tir_have_sites_in_each_of_their_slots(resnet: Stages, slot: Slot):
    specification = Specification(operators=("tir.*",), slots=(str(slot),))
    found = {Mutant.parse(mutant).mutations[0].operator for mutant in survey(resnet, specification, CATALOGUE).mutants}
    offered = {name for name, operator in CATALOGUE.items() if slot in operator.slots and name.startswith("tir.")}
    assert found >= offered - ON_GPUS_ONLY - IN_NO_MODEL - NOT_IN_ALEXNET
    assert found <= offered - ON_GPUS_ONLY - IN_NO_MODEL

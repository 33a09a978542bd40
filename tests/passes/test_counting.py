"""Sites are counted for all operators in one walk, and come out as each operator's rewriting alone finds them."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
from tvm.tirx import PrimFunc

from tvm_mutate.campaign import Specification, variants
from tvm_mutate.campaign.survey import all_site_counts
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Mutation, Sites, Slot, TirRule
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, apply_mutations, site_positions
from tvm_mutate.passes.ir_rewriting import rewrite_prim_func
from tvm_mutate.passes.selection import FunctionSites
from tvm_mutate.pipeline import Stages

CATALOGUE = builtin_catalogue()


GPU = '{"kind":"cuda","arch":"sm_80"}'


@pytest.fixture(scope="module")
def lowered() -> Callable[[str], Stages]:
    return functools.cache(lambda target: Stages(load_model("zoo://alexnet").module, parse_target(target)))


def of_all_operators(slot: Slot, all_variants: bool = False) -> list[Mutation]:
    return list(variants(Specification(("*",), slots=(str(slot),), all_variants=all_variants), CATALOGUE))


ON_IR = (Slot.GRAPH, Slot.KERNEL, Slot.LOWERED, Slot.CODEGEN)
FEW = (Slot.CALL, Slot.MEMORY)  # slots with few operators


@pytest.mark.parametrize(
    ("target", "slot"), [*(("llvm", slot) for slot in (*ON_IR, *FEW)), (GPU, Slot.KERNEL)], ids=str
)
def test_counting_all_operators_at_once_finds_the_sites_that_each_operator_rewrites_alone(
    lowered: Callable[[str], Stages], target: str, slot: Slot
):
    stages, asked = lowered(target), of_all_operators(slot, all_variants=True)
    together = all_site_counts(stages, asked, CATALOGUE)
    least = 3 if slot in FEW else 60
    assert len(together) == len(asked) >= least
    assert sum(map(bool, together)) >= least // 3
    for mutation, counted in zip(asked, together, strict=True):
        rewriting = Selection.resolve(mutation.at("*", Sites(0, -1)), CATALOGUE)
        _, report = apply_mutations(stages.at(slot), [rewriting])
        assert counted == {each.function: each.found for each in report if each.found}, str(mutation)
        assert not any(each.sites or each.changed for each in report)


def test_counting_numbers_the_sites_in_the_order_in_which_they_are_rewritten(lowered: Callable[[str], Stages]):
    module = lowered("llvm").at(Slot.CODEGEN)
    ordered = 0
    for mutation in of_all_operators(Slot.CODEGEN):
        selection = Selection.resolve(mutation, CATALOGUE)
        positions = site_positions(module, selection)
        for name, counted in positions.items():
            function = module[name]
            assert isinstance(function, PrimFunc) and isinstance(selection.operator.rule, TirRule)
            tally = FunctionSites(selection, name, positions=[])
            rewrite_prim_func(function, [tally])
            assert counted == tally.positions
            assert tally.applied == list(range(len(counted)))
            ordered += len(counted)
    assert ordered > 500

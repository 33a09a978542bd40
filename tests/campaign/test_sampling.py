"""Samples of mutants: seeded, distinct, and of higher order only where every part takes effect."""

from __future__ import annotations

from pathlib import Path

import pytest
import tvm_ffi

from tvm_mutate.campaign import Campaign, Specification, Subject
from tvm_mutate.campaign.survey import survey
from tvm_mutate.device import parse_device
from tvm_mutate.errors import UsageError
from tvm_mutate.kernels import parse_target
from tvm_mutate.model import load_model
from tvm_mutate.mutant import Mutant
from tvm_mutate.operators import builtin_catalogue
from tvm_mutate.passes import Selection, apply_mutations, take_effect_together
from tvm_mutate.pipeline import Stages

CATALOGUE = builtin_catalogue()


@pytest.fixture(scope="module")
def stages() -> Stages:
    return Stages(load_model("zoo://alexnet").module, parse_target("llvm"))


def drawn(stages: Stages, **chosen) -> list[Mutant]:
    return [Mutant.parse(text) for text in survey(stages, Specification(**chosen), CATALOGUE).mutants]


@pytest.mark.parametrize("order", [2, 3])
def test_every_part_of_a_drawn_mutant_changes_what_the_others_make_of_the_model(stages: Stages, order: int):
    found = drawn(stages, sites="sample:60", order=order, seed=4)
    assert len(found) == len(set(found)) == 60
    operators = {mutation.operator for mutant in found for mutation in mutant.mutations}
    assert len(operators) > 40
    for mutant in found:
        assert CATALOGUE.parse(str(mutant)) == mutant
        selections = [Selection.resolve(mutation, CATALOGUE) for mutation in mutant.mutations]
        (slot,) = {selection.slot for selection in selections}
        together, report = apply_mutations(stages.at(slot), selections)
        assert [each.changed and len(each.sites) for each in report] == [1] * order
        for left_out in selections:
            others = [selection for selection in selections if selection is not left_out]
            without, _ = apply_mutations(stages.at(slot), others)
            assert not tvm_ffi.structural_equal(together, without), (mutant, left_out.mutation)


def test_the_same_seed_draws_the_same_mutants_and_another_seed_others(stages: Stages):
    first, again, other = (drawn(stages, sites="sample:20", order=2, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("mutants", "together"),
    [
        ("tir.swap-compare{from=lt,to=le}@fused_conv2d_add_relu#0+tir.offset-store@fused_conv2d_add_relu#0", True),
        ("tir.swap-compare{from=lt,to=le}@fused_conv2d_add_relu#0+tir.offset-store@max_pool2d#0", True),
        ("tir.swap-compare{from=lt,to=le}@fused_conv2d_add_relu#0+tir.offset-store@fused_conv2d_add_relu#99", False),
        # The same comparison twice, a store that is changed and then left out, a layer that is no longer there.
        ("tir.swap-compare{from=lt,to=le}@*d_add_relu#0+tir.swap-compare{from=lt,to=gt}@*d_add_relu#0", False),
        ("tir.offset-store@fused_conv2d_add_relu#0+tir.drop-store@fused_conv2d_add_relu#0", False),
        ("graph.insert-unary{at=conv2d-matmul,position=after}@main#3+graph.drop-layer{kind=linear}@main#0", False),
    ],
)
def test_mutations_take_effect_together_unless_one_takes_away_what_another_changes(
    stages: Stages, mutants: str, together: bool
):
    mutations = CATALOGUE.parse(mutants.replace("*d_add_relu", "fused_conv2d_add_relu")).mutations
    selections = [Selection.resolve(mutation, CATALOGUE) for mutation in mutations]
    for ordered in (selections, selections[::-1]):
        assert take_effect_together(stages.at(selections[0].slot), ordered) == together


def test_a_campaign_of_pairs_applies_both_parts_and_gives_the_bits_of_the_full_rebuild(
    subject: Subject, tmp_path: Path
):
    by_content, rebuilt = (
        Campaign(
            [subject],
            [parse_device("llvm")],
            Specification(
                ("tir.scale-store", "tir.swap-compare", "tir.store-through", "graph.scale-weights"),
                sites="sample:5",
                order=2,
                seed=3,
                rebuild=rebuild,
            ),
            tmp_path / str(rebuild),
            workers=1,
        )
        .run()
        .mutants
        for rebuild in (False, True)
    )
    assert len(by_content) == 5
    assert all(row.sites == 2 and row.operator.count("+") == 1 for row in by_content)
    assert {row.verdict for row in by_content} >= {"killed", "survived"}
    for row, again in zip(by_content, rebuilt, strict=True):
        assert (row.id, row.verdict) == (again.id, again.verdict)
        assert row.undefined or row.outputs_digest == again.outputs_digest


@pytest.mark.parametrize(
    ("order", "sites", "message"),
    [(0, "all", "order 0 is no number"), (2, "all", "order 2 needs a sample"), (2, "each", "order 2 needs a sample")],
)
def test_an_order_that_cannot_be_drawn_is_refused(order: int, sites: str, message: str):
    with pytest.raises(UsageError, match=message):
        Specification(sites=sites, order=order).check()

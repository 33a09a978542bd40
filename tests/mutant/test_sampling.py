"""Samples of mutations and of mutants: seeded, distinct, fair to every operator."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.mutant import Mutant, Mutation, Sites, Slot
from tvm_mutate.mutant.sampling import by_operator, sample_sites, sample_together

SINGLE_SITES = st.builds(
    lambda operator, to, function, ordinal: Mutation(operator, (("to", to),), function, Sites(ordinal, ordinal)),
    st.sampled_from(("tir.one", "tir.two", "tir.three")),
    st.sampled_from(("le", "gt")),
    st.sampled_from(("conv2d", "add")),
    st.integers(0, 2),
)
POOLS = st.fixed_dictionaries({slot: st.lists(SINGLE_SITES, unique=True, max_size=8) for slot in (Slot.KERNEL,)})
MANY = [Mutation("tir.many", (), "add", Sites(number, number)) for number in range(30)]
FEW = [Mutation("tir.few", (), "add", Sites(number, number)) for number in range(3)]


def place(mutation: Mutation) -> tuple:
    return mutation.operator, mutation.function, mutation.sites


def always(slot: Slot, mutations: object) -> bool:
    return True


@given(st.lists(SINGLE_SITES, unique=True), st.integers(0, 12), st.integers(0, 9))
def test_a_sample_of_sites_is_sorted_without_repetition_and_the_same_for_a_seed(mutations, count, seed):
    found = sample_sites(mutations, count, seed)
    assert found == sorted(set(found)) == sample_sites(mutations, count, seed)
    assert len(found) == min(count, len(mutations)) and set(found) <= set(mutations)


def test_an_operator_with_many_sites_does_not_dominate_one_with_few():
    found = sample_sites([*MANY, *FEW], 6, seed=0)
    assert {name: len(group) for name, group in by_operator(found).items()} == {"tir.few": 3, "tir.many": 3}
    assert len(sample_sites([*MANY, *FEW], 10, seed=0)) == 10


def test_a_sample_depends_on_its_seed():
    assert len({tuple(sample_sites(MANY, 5, seed)) for seed in range(5)}) == 5


def test_mutations_are_grouped_by_operator_in_their_order():
    assert by_operator([MANY[0], FEW[1], MANY[2]]) == {"tir.many": [MANY[0], MANY[2]], "tir.few": [FEW[1]]}


@given(POOLS, st.integers(2, 3), st.integers(1, 12), st.integers(0, 9))
def test_tuples_are_distinct_of_the_order_never_of_one_operator_at_one_site_and_the_same_for_a_seed(
    pool, order, count, seed
):
    found = sample_together(pool, order, count, seed, always)
    assert found == sorted(set(found)) == sample_together(pool, order, count, seed, always)
    assert len(found) <= count
    for mutant in found:
        assert len({place(mutation) for mutation in mutant.mutations}) == order == len(mutant.mutations)
        assert set(mutant.mutations) <= set(pool[Slot.KERNEL])
        assert list(mutant.mutations) == sorted(mutant.mutations)


@given(POOLS, st.integers(0, 9))
def test_a_pair_is_drawn_only_if_it_takes_effect_and_one_is_found_where_most_do(pool, seed):
    def take_effect(slot, mutations):
        return mutations[0].function == mutations[1].function

    found = {mutant.mutations for mutant in sample_together(pool, 2, 100, seed, take_effect)}
    possible = {
        pair
        for pair in combinations(sorted(pool[Slot.KERNEL]), 2)
        if take_effect(Slot.KERNEL, pair) and place(pair[0]) != place(pair[1])
    }
    assert found <= possible
    assert bool(found) == bool(possible) or len(possible) < 3


@pytest.mark.parametrize("seed", range(5))
def test_all_pairs_are_found_if_so_many_are_asked_for(seed: int):
    found = sample_together({Slot.KERNEL: FEW}, 2, 3, seed, always)
    assert [mutant.mutations for mutant in found] == list(combinations(FEW, 2))
    assert sample_together({Slot.KERNEL: FEW}, 2, 9, seed, always) == found


def test_an_order_above_the_number_of_sites_has_no_tuples():
    assert sample_together({Slot.KERNEL: FEW}, 10**9, 3, 0, always) == []


def test_exactly_as_many_tuples_are_drawn_as_are_asked_for():
    for count in (0, 1, 5, 40):
        assert len(sample_together({Slot.KERNEL: MANY}, 2, count, 0, always)) == count
    first, second = (sample_together({Slot.KERNEL: MANY}, 2, 5, seed, always) for seed in (1, 2))
    assert first != second


def test_every_tuple_is_tried_once_and_in_its_own_slot():
    tried: list[tuple[Slot, tuple[Mutation, ...]]] = []

    def refuse(slot, mutations):
        tried.append((slot, mutations))
        return False

    pools = {Slot.KERNEL: FEW, Slot.LOWERED: MANY}
    assert sample_together(pools, 2, 5, 0, refuse) == []
    assert len(tried) == len(set(tried)) > 20
    assert all(set(mutations) <= set(pools[slot]) for slot, mutations in tried)


def test_the_first_mutations_of_tuples_are_drawn_by_operator_in_turn():
    found = sample_together({Slot.KERNEL: [*MANY, *FEW]}, 2, 6, 0, always)
    assert sum(any(mutation in FEW for mutation in mutant.mutations) for mutant in found) >= 3


def test_the_mutations_of_a_mutant_act_in_one_slot():
    kernel, lowered = (Mutation(name, (), "add", Sites(0, 0)) for name in ("tir.one", "tir.two"))
    assert not sample_together({Slot.KERNEL: [kernel], Slot.LOWERED: [lowered]}, 2, 5, 0, always)


def test_a_tuple_of_order_one_is_a_mutant_with_one_mutation():
    assert sample_together({Slot.KERNEL: FEW}, 1, 9, 0, always) == [Mutant((mutation,)) for mutation in FEW]

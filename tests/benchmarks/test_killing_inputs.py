"""Sets of inputs that kill mutants, and shares of inputs that kill a bug, too, on arrays written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from measuring.killing_inputs import Share, chance, coupled, killing_set, killing_sets, share_among

MUTANTS = np.array(
    [
        [1, 1, 0, 0],
        [1, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 0, 0, 0],  # no input kills this mutant: no set has to
    ],
    bool,
)
BUG = np.array([0, 1, 0, 1], bool)


def test_a_set_kills_all_mutants_that_can_be_killed_and_begins_with_the_best_input():
    assert killing_set(MUTANTS, [3, 2, 1, 0]) == [0, 3]
    assert killing_set(MUTANTS[3:], [0, 1, 2, 3]) == []


def test_of_inputs_that_kill_as_many_the_first_in_the_order_is_chosen():
    assert killing_set(MUTANTS[:1], [0, 1, 2, 3]) == [0]
    assert killing_set(MUTANTS[:1], [2, 1, 0, 3]) == [1]
    assert {each[0] for each in killing_sets(MUTANTS[:1], 20)} == {0, 1}


def test_a_share_counts_only_inputs_that_kill_a_mutant():
    assert share_among(BUG, MUTANTS[:2]) == Share(1, 3)
    assert share_among(BUG, MUTANTS[:0]) == Share(0, 0)
    assert str(Share(2, 4)) == "2 of 4 (50 %, 15 to 85)"


def test_a_coupled_mutant_is_killed_only_by_inputs_that_kill_the_bug():
    assert coupled(BUG, MUTANTS) == 1


def test_the_chance_is_that_of_random_sets_of_this_size():
    assert chance(1, 4, 2) == pytest.approx(0.5)
    assert (chance(0, 4, 2), chance(3, 4, 2), chance(4, 4, 0)) == (0, 1, 0)

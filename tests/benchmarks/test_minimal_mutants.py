"""Kill sets, minimal mutants and the choice of operators, on campaigns written by hand."""

from __future__ import annotations

from measuring.minimal_mutants import Killed, Redundancy, chosen_operators, killed_mutants, minimal_sets, redundancies

from tests.report.results_by_hand import CAST, DROP, completed, ended, make

EASY = [Killed("net", "easy", frozenset(inputs)) for inputs in ({0, 1, 2}, {1, 2})]
HARD = [Killed("net", "hard", frozenset(inputs)) for inputs in ({1}, {3})]
OTHER = [Killed("other", "easy", frozenset({0, 1}))]


def test_a_kill_set_has_the_inputs_with_other_labels_and_a_crash_has_all():
    crash = ended("tir.cast{to=float16}@f#1", "llvm", "crash", verdict="killed")
    rows = [completed(DROP, "llvm", [0, 9, 2, 9]), completed(CAST, "llvm", [0, 1, 2, 3]), crash]
    found = killed_mutants(make(("llvm",), rows, []))
    assert [set(each.inputs) for each in found] == [{1, 3}, {0, 1, 2, 3}]


def test_minimal_sets_are_those_that_no_other_one_is_inside_of_in_the_same_model():
    expected = {("net", frozenset({1})), ("net", frozenset({3})), ("other", frozenset({0, 1}))}
    assert minimal_sets([*EASY, *HARD, *OTHER]) == expected


def test_an_operator_that_others_subsume_adds_nothing_alone():
    hard, easy = redundancies([*EASY, *HARD])
    assert hard == Redundancy("hard", 2, 2, 2, "easy", 0.0)
    assert easy == Redundancy("easy", 2, 0, 0, "hard", 1.0)


def test_the_choice_covers_all_minimal_sets_with_the_cheapest_operators_first():
    chosen = chosen_operators([*EASY, *HARD, *OTHER], {"easy": 6, "hard": 2, "never killed": 2})
    assert chosen == [("hard", 2 / 3, 0.2), ("easy", 1.0, 0.8)]

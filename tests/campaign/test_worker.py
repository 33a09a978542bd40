"""The models and evaluators that a worker keeps, and the evaluators that hold sessions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.campaign.worker import Evaluators, LastUsed


class Holding:
    """An evaluator that notes when it has to rest."""

    def __init__(self, name: str) -> None:
        self.name, self.rests = name, 0

    def rest(self) -> None:
        self.rests += 1


def test_a_value_is_made_once_while_it_is_among_the_last_used():
    made: list[str] = []
    recent: LastUsed[str] = LastUsed(2)
    for name in ("a", "b", "a", "c", "a", "b"):
        recent.get(name, lambda name=name: made.append(name) or name)
    assert made == ["a", "b", "c", "b"]


@given(st.lists(st.sampled_from("abcdef")), st.integers(1, 4))
def test_the_last_used_values_are_not_made_again(names: list[str], kept: int):
    recent: LastUsed[str] = LastUsed(kept)
    for name in names:
        assert recent.get(name, lambda name=name: name) == name
    for name in list(dict.fromkeys(reversed(names)))[:kept]:
        assert recent.get(name, lambda: "made again") == name


def test_all_evaluators_rest_except_the_last_used():
    evaluators: Evaluators = Evaluators(4)
    first = evaluators.get("first", lambda: Holding("first"))
    second = evaluators.get("second", lambda: Holding("second"))
    assert evaluators.get("second", lambda: Holding("another")) is second
    assert (first.rests, second.rests) == (2, 0)
    evaluators.rest()
    assert (first.rests, second.rests) == (3, 1)

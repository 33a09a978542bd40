"""The order of jobs: one worker per kernel, loaded models are reused, no worker is idle."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.campaign.work_order import Job, WorkOrder


def order_of(workers: int, *groups: tuple[str, str, int]) -> WorkOrder:
    """Waiting jobs: pair, group, and how many."""
    order = WorkOrder(workers)
    for pair, group, count in groups:
        for number in range(count):
            order.add(Job((pair, group, number), pair, group))
    return order


def taken(order: WorkOrder, worker: int, count: int = 1) -> list[tuple]:
    jobs = [order.take(worker) for _ in range(count)]
    return [job.request for job in jobs if job is not None]


def test_a_worker_takes_a_group_whole_and_in_order_before_the_next():
    order = order_of(1, ("a", "f", 2), ("a", "g", 2))
    assert taken(order, 0, 5) == [("a", "f", 0), ("a", "f", 1), ("a", "g", 0), ("a", "g", 1)]


def test_two_workers_of_one_pair_take_different_groups():
    order = order_of(2, *(("a", group, 3) for group in "fghi"))
    groups = [{request[1] for _ in range(6) for request in taken(order, worker)} for worker in (0, 1)]
    assert not order
    assert groups[0] | groups[1] == set("fghi")


def test_two_workers_that_take_turns_get_half_of_the_groups_each():
    order = order_of(2, *(("a", str(group), 3) for group in range(10)))
    groups: tuple[set, set] = (set(), set())
    while order:
        for worker in (0, 1):
            groups[worker].update(request[1] for request in taken(order, worker))
    assert [len(each) for each in groups] == [5, 5]
    assert not groups[0] & groups[1]


def test_two_workers_take_different_pairs_and_each_stays_with_its_own():
    order = order_of(2, ("a", "f", 1), ("a", "g", 1), ("b", "f", 1), ("b", "g", 1))
    assert taken(order, 0) == [("a", "f", 0)]
    assert taken(order, 1) == [("b", "f", 0)]
    assert taken(order, 0) == [("a", "g", 0)]
    assert taken(order, 1) == [("b", "g", 0)]


def test_a_worker_goes_back_to_a_pair_that_it_held_before():
    order = order_of(2, ("a", "f", 1), ("b", "f", 1))
    assert [taken(order, worker) for worker in (0, 1)] == [[("a", "f", 0)], [("b", "f", 0)]]
    for pair in "ba":
        order.add(Job(pair, pair))
    assert [taken(order, worker) for worker in (1, 0)] == [["b"], ["a"]]


def test_a_worker_without_a_pair_of_its_own_steals_from_the_pair_with_most_left():
    order = order_of(3, ("a", "f", 2), ("a", "g", 1), ("b", "f", 2), ("b", "g", 4))
    taken(order, 0)
    taken(order, 1)
    assert taken(order, 2) == [("b", "g", 0)]


def test_a_single_group_is_split_for_an_idle_worker():
    order = order_of(2, ("a", "main", 10))
    assert taken(order, 0) == [("a", "main", 0)]
    assert taken(order, 1, 6) == [("a", "main", number) for number in (5, 6, 7, 8, 9, 3)]
    assert taken(order, 0, 3) == [("a", "main", number) for number in (1, 2, 4)]


def test_jobs_shorter_than_loading_a_model_stay_with_the_worker_that_has_the_model():
    order = order_of(2, ("a", "f", 5), ("b", "f", 1))
    (first,) = [order.take(0)]
    assert first is not None
    for seconds in (10.0, 0.5):
        order.note_time(first, seconds)
    taken(order, 1)
    assert order.take(1) is None
    order.note_time(first, 60.0)
    assert order.take(1) is not None


def test_no_worker_takes_a_next_job_from_the_last_jobs_or_from_another_pair():
    order = order_of(2, ("a", "f", 2), ("b", "f", 9))
    order.take(0)
    ahead = order.take_ahead(0)
    assert ahead is not None and ahead.request == ("a", "f", 1)
    assert order.take_ahead(0) is None
    assert order_of(2, ("a", "f", 2)).take_ahead(0) is None


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("fgh"), st.integers(1, 5)), max_size=12),
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60),
)
def test_every_job_is_taken_once_in_any_order_of_workers(groups, turns):
    order = order_of(3, *groups)
    got: Counter = Counter()
    for worker, ahead in turns:
        job = order.take_ahead(worker) if ahead else order.take(worker)
        got.update([job] if job else [])
    while order:
        before = len(order)
        for worker in range(3):
            job = order.take(worker)
            got.update([job] if job else [])
        assert len(order) < before
    assert sum(got.values()) == len(got) == sum(count for *_, count in groups)

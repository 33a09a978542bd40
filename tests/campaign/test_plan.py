"""Plans: memory sizes and shards that are refused, and the mutants of each shard."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_mutate.campaign import Pair, Survey, golden_bytes, parse_shard, parse_size, take_shard
from tvm_mutate.campaign.plan import CAMPAIGN_BYTES, WORKER_BYTES, format_size
from tvm_mutate.device import machine_memory
from tvm_mutate.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [("4G", 4 << 30), ("800M", 800 << 20), ("1.5g", 3 << 29), ("12 KiB", 12288), ("512MB", 1 << 29), ("7", 7)],
)
def test_a_size_is_a_number_with_a_unit_of_powers_of_1024(text: str, size: int):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "4X", "-1G", "0", "0.0M", "1e9", "nan", "4G4", "9" * 40])
def test_an_invalid_size_is_refused_with_an_example(text: str):
    with pytest.raises(UsageError, match="write one such as 800M or 4G"):
        parse_size(text)


def test_golden_values_get_the_memory_that_workers_leave():
    assert golden_bytes(4 << 30, workers=2) == (4 << 30) - CAMPAIGN_BYTES - 2 * WORKER_BYTES


def test_too_little_memory_is_refused_with_the_least_size():
    with pytest.raises(UsageError, match=r"--memory 1G is too small: 2 workers need 1792M .*at least 1856M"):
        golden_bytes(1 << 30, workers=2)
    assert golden_bytes(parse_size("1856M"), workers=2) == 64 << 20


def test_a_quarter_of_the_machine_is_taken_by_default_and_never_refused():
    quarter = machine_memory() // 4
    assert golden_bytes(None, workers=0) == max(quarter - CAMPAIGN_BYTES, quarter // 2)
    most = (machine_memory() - CAMPAIGN_BYTES) // WORKER_BYTES
    assert golden_bytes(None, workers=most) == quarter // 2
    with pytest.raises(UsageError, match=f"--workers {most + 1}: this machine has memory for {most}"):
        golden_bytes(None, workers=most + 1)


def test_sizes_are_rounded_up():
    assert [format_size(size) for size in (1, 3 << 20, 2 << 30)] == ["1M", "3M", "2G"]


MUTANTS = st.lists(st.integers(0, 30).map("m{}".format), unique=True, max_size=20)
SURVEYS = st.dictionaries(
    st.builds(Pair, st.sampled_from(("alexnet", "resnet")), st.sampled_from(("llvm", "c"))),
    MUTANTS.map(lambda mutants: Survey(tuple(mutants), {})),
    max_size=4,
)


@given(SURVEYS, st.integers(1, 7))
def test_the_union_of_all_shards_is_the_whole_and_no_mutant_is_in_two(surveys, count):
    shards = [take_shard(surveys, (number, count)) for number in range(1, count + 1)]
    for pair, survey in surveys.items():
        dealt = Counter(mutant for shard in shards for mutant in shard[pair].mutants)
        assert dealt == Counter(survey.mutants)
        for shard in shards:
            mine = set(shard[pair].mutants)
            assert shard[pair].mutants == tuple(mutant for mutant in survey.mutants if mutant in mine)


@given(SURVEYS, st.integers(1, 7))
def test_a_mutant_is_in_one_shard_on_all_devices_and_shards_differ_by_one_mutant_at_most(surveys, count):
    sizes = []
    seen: dict[tuple[str, str], int] = {}
    for number in range(1, count + 1):
        shard = take_shard(surveys, (number, count))
        mutants = {(pair.subject, mutant) for pair, survey in shard.items() for mutant in survey.mutants}
        assert not seen.keys() & mutants
        seen.update(dict.fromkeys(mutants, number))
        sizes.append(len(mutants))
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3", "", "1/x", "x/1"])
def test_an_invalid_shard_is_refused(text: str):
    with pytest.raises(UsageError, match=r"^--shard .* is not a shard; write k/n with k from 1 to n, such as 2/8$"):
        parse_shard(text)


def test_a_shard_is_read_from_its_text():
    assert [parse_shard(text) for text in ("2/8", "1/8", " 8/8 ", "1/1")] == [(2, 8), (1, 8), (8, 8), (1, 1)]


def test_mutants_are_dealt_out_in_turn_from_one_subject_to_the_next():
    surveys = {
        Pair(subject, "llvm"): Survey(mutants, {})
        for subject, mutants in (("a", ("a0", "a1", "a2")), ("b", ("b0", "b1")), ("c", ("c0", "c1")))
    }
    first, second = (take_shard(surveys, (number, 2)) for number in (1, 2))
    assert [survey.mutants for survey in first.values()] == [("a0", "a2"), ("b1",), ("c1",)]
    assert [survey.mutants for survey in second.values()] == [("a1",), ("b0",), ("c0",)]

"""Memory: sizes as text, and what of a campaign's memory golden values get."""

from __future__ import annotations

import pytest

from tvm_mutate.campaign import golden_bytes, parse_size
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
def test_what_is_no_size_is_refused_with_an_example(text: str):
    with pytest.raises(UsageError, match="write one such as 800M or 4G"):
        parse_size(text)


def test_golden_values_get_what_the_workers_leave():
    assert golden_bytes(4 << 30, workers=2) == (4 << 30) - CAMPAIGN_BYTES - 2 * WORKER_BYTES


def test_too_little_memory_is_refused_with_what_would_do():
    with pytest.raises(UsageError, match=r"--memory 1G is too small: 2 workers need 1792M .*at least 1856M"):
        golden_bytes(1 << 30, workers=2)
    assert golden_bytes(parse_size("1856M"), workers=2) == 64 << 20


def test_a_quarter_of_the_machine_is_taken_by_default_and_never_refused():
    quarter = machine_memory() // 4
    assert golden_bytes(None, workers=0) == max(quarter - CAMPAIGN_BYTES, quarter // 2)
    assert golden_bytes(None, workers=10_000) == quarter // 2


def test_sizes_are_told_rounded_up():
    assert [format_size(size) for size in (1, 3 << 20, 2 << 30)] == ["1M", "3M", "2G"]

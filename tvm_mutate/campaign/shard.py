"""Shards: a campaign divided over several machines, each with its own part of the mutants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from tvm_mutate.campaign.subject import Pair
from tvm_mutate.campaign.survey import Survey
from tvm_mutate.errors import UsageError

Shard = tuple[int, int]


def parse_shard(text: str) -> Shard:
    """The shard ``k/n``, with k from 1 to n; raises UsageError for anything else."""
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise UsageError(f"--shard {text!r} is not a shard; write k/n with k from 1 to n, such as 2/8")
    return number, count


def take_shard(surveys: Mapping[Pair, Survey], shard: Shard) -> dict[Pair, Survey]:
    """The surveys with the mutants of the ``k``-th of ``n`` shards only.

    The mutants of the campaign are dealt out in turn, so that shards are disjoint, of one size but for one mutant, and
    together the whole. A mutant is in the same shard on all devices, so that these can be compared.
    """
    number, count = shard
    dealt = 0
    found: dict[Pair, Survey] = {}
    for subject in dict.fromkeys(pair.subject for pair in surveys):
        on_devices = {pair: survey for pair, survey in surveys.items() if pair.subject == subject}
        ids = dict.fromkeys(mutant for survey in on_devices.values() for mutant in survey.mutants)
        mine = {mutant for position, mutant in enumerate(ids, dealt) if position % count == number - 1}
        dealt += len(ids)
        for pair, survey in on_devices.items():
            found[pair] = replace(survey, mutants=tuple(mutant for mutant in survey.mutants if mutant in mine))
    return {pair: found[pair] for pair in surveys}

"""One result from several: of the shards of a campaign, or of campaigns on other devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from tvm_mutate.campaign.discrepancies import Unmutated, find_agreements, find_discrepancies, with_behaviours
from tvm_mutate.campaign.mutant_rows import mark_duplicates
from tvm_mutate.errors import UsageError
from tvm_mutate.results import Results, check_same_oracles

_Row = TypeVar("_Row")
_DECIDES_VERDICTS = ("tvm-mutate", "apache-tvm")


def merge(parts: Sequence[Results]) -> Results:
    """The results of all parts, each row once.

    Devices that no part compared are compared by their labels; the scores stay in the journals of the parts. Raises
    UsageError for parts of different versions, oracles, models, inputs or devices, and for a mutant with two verdicts.
    """
    check_same_oracles(parts)
    first = parts[0]
    for part in parts[1:]:
        for name in _DECIDES_VERDICTS:
            versions = [each.environment.versions.get(name) for each in (first, part)]
            if versions[0] != versions[1]:
                raise UsageError(f"results of {name} {versions[0]} and of {versions[1]} cannot be merged")
    models = _united([part.models for part in parts], lambda row: row.name, _model_identity, "model")
    devices = _united([part.devices for part in parts], lambda row: row.name, lambda row: row, "device")
    mutants = _united([part.mutants for part in parts], _key, lambda row: (row.verdict, row.outcome), "mutant")
    baselines = _once((row for part in parts for row in part.baselines), lambda row: (row.model, row.device))
    there = {_key(row) for row in mutants}
    discrepancies = _once((row for part in parts for row in part.discrepancies), _compared)
    agreements = _once((row for part in parts for row in part.agreements), lambda row: (row.model, row.devices))
    builds = {(row.model, row.device): Unmutated(row.labels, None, row.noise_floor) for row in baselines}
    names = [row.name for row in devices]
    compared = {(row.model, frozenset(row.devices)) for row in agreements}
    new_agreements = [
        row for row in find_agreements(builds, names) if (row.model, frozenset(row.devices)) not in compared
    ]
    new_pairs = {(row.model, row.devices) for row in new_agreements}
    found = [row for row in find_discrepancies(mutants, builds, names) if (row.model, row.devices) in new_pairs]
    undefined = _once((row for part in parts for row in part.undefined), lambda row: (row.model, row.id))
    examined = {(row.model, row.id): row for row in undefined}
    return Results(
        environment=first.environment,
        models=models,
        devices=devices,
        baselines=baselines,
        canaries=_once((row for each in parts for row in each.canaries), lambda row: (row.model, row.device, row.id)),
        mutants=tuple(mark_duplicates(mutants)),
        absent=_once((row for each in parts for row in each.absent if _key(row) not in there), _key),
        discrepancies=(*discrepancies, *with_behaviours(found, mutants, examined)),
        agreements=(*agreements, *new_agreements),
        undefined=undefined,
    )


def _united(
    parts: Iterable[Sequence[_Row]], key: Callable[[_Row], Any], content: Callable[[_Row], Any], kind: str
) -> tuple[_Row, ...]:
    """The rows of all parts, each once; raises UsageError for rows with one key and different contents."""
    found: dict[Any, _Row] = {}
    for rows in parts:
        for row in rows:
            known = found.setdefault(key(row), row)
            if content(known) != content(row):
                raise UsageError(f"the results to merge have two different rows of {kind} {_shown(key(row))}")
    return tuple(found.values())


def _shown(key: Any) -> str:
    return key if isinstance(key, str) else " of ".join(map(str, key))


def _once(rows: Iterable[_Row], key: Callable[[_Row], Any]) -> tuple[_Row, ...]:
    return tuple({key(row): row for row in reversed(list(rows))}.values())[::-1]


def _model_identity(row: Any) -> Any:
    return msgspec.structs.replace(row, reference="")


def _key(row: Any) -> tuple[str, str, str]:
    return row.id, row.model, row.device


def _compared(row: Any) -> tuple[str, str, Any]:
    return row.id, row.model, row.devices

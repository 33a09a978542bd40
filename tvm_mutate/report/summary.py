"""The summary of a campaign: tallies by model, category and device."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tvm_mutate.mutant import Category
from tvm_mutate.report.discrepancy import count_differing_outcomes
from tvm_mutate.report.tally import Tally, tally
from tvm_mutate.results import MutantRow, Results

UNKNOWN_CATEGORY = "Unknown"


@dataclass(frozen=True)
class Group:
    """The tally of the mutants of one model, category and device."""

    model: str
    category: str
    device: str
    tally: Tally


@dataclass(frozen=True)
class _Absent:
    model: str
    device: str
    category: str


@dataclass(frozen=True)
class Summary:
    """The tallies of a campaign, in the order of its models and devices and of the catalogue's categories.

    ``by_category`` and ``by_category_and_device`` are over all models. Faults of the compiler itself are not in
    ``by_device`` and ``total``, but in ``compiler_by_device`` and ``compiler_total``. ``differing_outcomes`` is the
    number of mutants that ended otherwise on one device than on another.
    """

    groups: tuple[Group, ...]
    by_category: dict[str, Tally]
    by_device: dict[str, Tally]
    by_category_and_device: dict[tuple[str, str], Tally]
    total: Tally
    compiler_by_device: dict[str, Tally]
    compiler_total: Tally
    differing_outcomes: int


def summarize(results: Results, operator_categories: Mapping[str, str]) -> Summary:
    """The summary of results; ``operator_categories`` names the category of each operator, for absent variants."""
    absent = [_Absent(row.model, row.device, _category_of(row.id, operator_categories)) for row in results.absent]

    def grouped(*names: str) -> dict[tuple[str, ...], Tally]:
        return _grouped(results, results.mutants, absent, names)

    of_compiler = [row for row in results.mutants if row.is_compiler_fault]
    others = [row for row in results.mutants if not row.is_compiler_fault]
    absent_of_compiler = [each for each in absent if each.category == Category.COMPILER_PASSES]
    absent_others = [each for each in absent if each.category != Category.COMPILER_PASSES]

    return Summary(
        groups=tuple(
            Group(model, category, device, each)
            for (model, category, device), each in grouped("model", "category", "device").items()
        ),
        by_category={category: each for (category,), each in grouped("category").items()},
        by_device=_by_device(results, others, absent_others),
        by_category_and_device={
            (first, second): each for (first, second), each in grouped("category", "device").items()
        },
        total=tally(others, len(absent_others)),
        compiler_by_device=_by_device(results, of_compiler, absent_of_compiler),
        compiler_total=tally(of_compiler, len(absent_of_compiler)),
        differing_outcomes=count_differing_outcomes(results),
    )


def _by_device(results: Results, mutants: Iterable[MutantRow], absent: Iterable[_Absent]) -> dict[str, Tally]:
    return {device: each for (device,), each in _grouped(results, mutants, absent, ("device",)).items()}


def _grouped(
    results: Results, mutants: Iterable[MutantRow], absent: Iterable[_Absent], names: tuple[str, ...]
) -> dict[tuple[str, ...], Tally]:
    """The tallies of the rows that have the same values under ``names``, by these values, in the order of tables."""
    rows: defaultdict[tuple[str, ...], list[MutantRow]] = defaultdict(list)
    for row in mutants:
        rows[tuple(str(getattr(row, name)) for name in names)].append(row)
    variants = Counter(tuple(getattr(row, name) for name in names) for row in absent)
    ranks = _ranks(results)

    def rank(place: tuple[str, ...]) -> list[tuple[int, str]]:
        return [(ranks[name].get(each, len(ranks[name])), each) for name, each in zip(names, place, strict=True)]

    return {place: tally(rows.get(place, ()), variants[place]) for place in sorted({*rows, *variants}, key=rank)}


def _category_of(mutant: str, operator_categories: Mapping[str, str]) -> str:
    """The category of a mutant's id, by its operator: what stands before the parameters and the function."""
    return operator_categories.get(re.split("[{@]", mutant, maxsplit=1)[0], UNKNOWN_CATEGORY)


def _ranks(results: Results) -> dict[str, dict[str, int]]:
    """For models, categories and devices: the place of each in tables."""
    orders = {
        "model": [row.name for row in results.models],
        "category": [str(category) for category in Category],
        "device": [row.name for row in results.devices],
    }
    return {name: {each: rank for rank, each in enumerate(order)} for name, order in orders.items()}

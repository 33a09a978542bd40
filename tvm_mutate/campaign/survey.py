"""Which mutants a model has on a device: every variant of the operators, at the sites that are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tvm_mutate.campaign.place import Places
from tvm_mutate.campaign.subject import Specification
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Category, Mutant, Mutation, Operator, PipelineRule, Sites, Slot, TextRule
from tvm_mutate.mutant.sampling import sample_sites, sample_together
from tvm_mutate.oracle import parse_oracle
from tvm_mutate.passes import Selection, take_effect_together
from tvm_mutate.pipeline import Stages, pass_names

NO_SITE = "no site"
SAMPLE = "sample:"


@dataclass(frozen=True)
class Survey:
    """The mutants of one model on one device, by id, and why variants without a mutant have none.

    ``places`` has for each mutant the digest of the unmutated functions that it is for.
    """

    mutants: tuple[str, ...]
    absent: dict[str, str]
    places: dict[str, str] = field(default_factory=dict)


def check_sites(sites: str) -> str:
    """``sites`` if it is one of ``all``, ``each``, ``first``, ``sample:N``; raises UsageError otherwise."""
    if sites in ("all", "each", "first") or re.fullmatch(r"sample:[1-9]\d*", sites):
        return sites
    raise UsageError(f"--sites {sites!r} is not known; write all, each, first or sample:N with N at least 1")


def check_order(order: int, sites: str) -> None:
    """Raises UsageError for an order that no mutant has, and for one above 1 without a sample to be drawn."""
    if order < 1:
        raise UsageError(f"order {order} is no number of mutations; write 1 or more")
    if order > 1 and not sites.startswith(SAMPLE):
        raise UsageError(f"order {order} needs a sample: write how many mutants are to be drawn, such as --sample 100")


def check_specification(specification: Specification) -> None:
    """Raises UsageError for what no campaign can do."""
    check_sites(specification.sites)
    check_order(specification.order, specification.sites)
    parse_oracle(specification.oracle)
    number, count = specification.shard
    if not 1 <= number <= count:
        raise UsageError(f"there is no shard {number} of {count}; write k and n with k from 1 to n")
    if specification.until not in ("", "killed"):
        raise UsageError(f"until {specification.until!r} is not known; write 'killed' or nothing")
    if specification.precision is not None and not 0 < specification.precision < 1:
        raise UsageError(f"precision {specification.precision} is no width of an interval between 0 and 1")


def survey(stages: Stages, specification: Specification, catalogue: Catalogue) -> Survey:
    """The survey of one lowered model; nothing is built, and code generated only for operators on its text.

    Raises UsageError where an id of ``specification.mutants`` names a site or function that is not there.
    """
    find = _of_ids if specification.mutants else _of_operators
    mutants, absent = find(stages, specification, catalogue)
    places = Places(stages, catalogue)
    ids = tuple(str(mutant) for mutant in mutants)
    digests = {text: places.digest(mutant) for text, mutant in zip(ids, mutants, strict=True)}
    return Survey(ids, absent, digests)


def _of_operators(
    stages: Stages, specification: Specification, catalogue: Catalogue
) -> tuple[list[Mutant], dict[str, str]]:
    mutants: list[Mutation] = []
    absent: dict[str, str] = {}
    asked = [*variants(specification, catalogue), *pass_variants(stages, specification, catalogue)]
    for mutation, counts in zip(asked, all_site_counts(stages, asked, catalogue), strict=True):
        if not counts:
            absent[str(mutation)] = reason_without_sites(mutation, catalogue, stages.target.kind.name)
        elif specification.sites == "all":
            mutants.append(mutation)
        elif catalogue[mutation.operator].slots == (Slot.PIPELINE,):
            mutants += _single_passes(mutation, counts, first_only=specification.sites == "first")
        else:
            mutants += _single_sites(mutation, counts, first_only=specification.sites == "first")
    if specification.sites.startswith(SAMPLE):
        return _sample(stages, mutants, specification, catalogue), absent
    return [Mutant((mutation,)) for mutation in mutants], absent


def _sample(
    stages: Stages, mutations: list[Mutation], specification: Specification, catalogue: Catalogue
) -> list[Mutant]:
    count = int(specification.sites.removeprefix(SAMPLE))
    if specification.order == 1:
        return [Mutant((mutation,)) for mutation in sample_sites(mutations, count, specification.seed)]
    selections = {mutation: Selection.resolve(mutation, catalogue) for mutation in mutations}
    by_slot: dict[Slot, list[Mutation]] = {}
    for mutation, selection in selections.items():
        by_slot.setdefault(selection.slot, []).append(mutation)

    def take_effect(slot: Slot, chosen: Sequence[Mutation]) -> bool:
        return take_effect_together(stages.at(slot), [selections[mutation] for mutation in chosen])

    return sample_together(by_slot, specification.order, count, specification.seed, take_effect)


def variants(specification: Specification, catalogue: Catalogue) -> Iterator[Mutation]:
    """Every variant of the operators that the specification names, in each slot that it names, at all sites."""
    slots = [Slot(slot) for slot in specification.slots]
    for operator in catalogue.select(specification.operators):
        if operator.category is Category.CANARY:
            continue
        for slot in [slot for slot in slots if slot in operator.slots] if slots else [operator.slots[0]]:
            for variant in operator.all_variants() if specification.all_variants else operator.variants:
                yield operator.mutation(variant, slot)


def pass_variants(stages: Stages, specification: Specification, catalogue: Catalogue) -> Iterator[Mutation]:
    """Of the operators that are for each pass of the pipelines: every variant for a pass where there is a site."""
    names = dict.fromkeys(pass_names(stages.relax_passes) + pass_names(stages.tir_passes))
    for operator in catalogue.select(specification.operators):
        if isinstance(operator.rule, PipelineRule) and operator.rule.each_pass and _is_asked(operator, specification):
            mutations = [operator.mutation({"pass": name}) for name in names]
            found = all_site_counts(stages, mutations, catalogue)
            yield from (mutation for mutation, counts in zip(mutations, found, strict=True) if counts)


def _is_asked(operator: Operator, specification: Specification) -> bool:
    return not specification.slots or any(str(slot) in specification.slots for slot in operator.slots)


def site_counts(stages: Stages, mutation: Mutation, catalogue: Catalogue) -> dict[str, int]:
    """How many sites the mutation's operator has in each function that it matches, in its slot."""
    selection = Selection.resolve(mutation, catalogue)
    return stages.site_counts(selection)


def all_site_counts(stages: Stages, mutations: Sequence[Mutation], catalogue: Catalogue) -> list[dict[str, int]]:
    """As :func:`site_counts`, for each of the mutations; every function of a slot is walked through once for all."""
    return stages.all_site_counts([Selection.resolve(mutation, catalogue) for mutation in mutations])


def reason_without_sites(mutation: Mutation, catalogue: Catalogue, kind: str) -> str:
    """Why a mutation has no site on a kind of target: what its operator looks for, or in which other code."""
    operator: Operator = catalogue[mutation.operator]
    if isinstance(operator.rule, TextRule) and kind not in operator.rule.kinds:
        return (
            f"{NO_SITE}: {operator.name} knows the code generated for {', '.join(operator.rule.kinds)}, not for {kind}"
        )
    return f"{NO_SITE}: {operator.description}"


def _of_ids(stages: Stages, specification: Specification, catalogue: Catalogue) -> tuple[list[Mutant], dict[str, str]]:
    mutants = [catalogue.parse(text) for text in specification.mutants]
    for mutant in mutants:
        for mutation in mutant.mutations:
            counts = site_counts(stages, mutation, catalogue)
            _check_place(mutation, counts, stages, catalogue)
    return mutants, {}


def _check_place(mutation: Mutation, counts: dict[str, int], stages: Stages, catalogue: Catalogue) -> None:
    rule = catalogue[mutation.operator].rule
    if isinstance(rule, TextRule) and stages.target.kind.name not in rule.kinds:
        raise UsageError(f"mutant {mutation}: {reason_without_sites(mutation, catalogue, stages.target.kind.name)}")
    names = stages.function_names(Selection.resolve(mutation, catalogue).slot)
    if reason := mutation.why_not_there(names, counts):
        raise UsageError(reason)


def _single_sites(mutation: Mutation, counts: dict[str, int], first_only: bool) -> list[Mutation]:
    places = [(function, ordinal) for function, count in sorted(counts.items()) for ordinal in range(count)]
    return [
        mutation.at(function, Sites(ordinal, ordinal)) for function, ordinal in (places[:1] if first_only else places)
    ]


def _single_passes(mutation: Mutation, counts: dict[str, int], first_only: bool) -> list[Mutation]:
    """A mutant for each place of the pass in the pipeline, which is that of all functions."""
    ordinals = range(1 if first_only else max(counts.values()))
    return [mutation.at(mutation.function, Sites(ordinal, ordinal)) for ordinal in ordinals]

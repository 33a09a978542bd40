"""Which mutants a model has on a device: every variant of the operators, at the sites that are asked for."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import tvm

from tvm_mutate.campaign.place import Places
from tvm_mutate.campaign.subject import Specification
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Category, Mutant, Mutation, Operator, PipelineRule, Sites, Slot
from tvm_mutate.oracle import parse_oracle
from tvm_mutate.passes import Selection, count_sites
from tvm_mutate.pipeline import Stages, pass_names

NO_SITE = "no site"


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


def check_specification(specification: Specification) -> None:
    """Raises UsageError for what no campaign can do."""
    check_sites(specification.sites)
    parse_oracle(specification.oracle)
    number, count = specification.shard
    if not 1 <= number <= count:
        raise UsageError(f"there is no shard {number} of {count}; write k and n with k from 1 to n")
    if specification.until not in ("", "killed"):
        raise UsageError(f"until {specification.until!r} is not known; write 'killed' or nothing")
    if specification.precision is not None and not 0 < specification.precision < 1:
        raise UsageError(f"precision {specification.precision} is no width of an interval between 0 and 1")


def survey(stages: Stages, specification: Specification, catalogue: Catalogue) -> Survey:
    """The survey of one lowered model; nothing is built.

    Raises UsageError where an id of ``specification.mutants`` names a site or function that is not there.
    """
    find = _of_ids if specification.mutants else _of_operators
    mutants, absent = find(stages, specification, catalogue)
    places = Places(stages, catalogue)
    digests = {str(mutant): places.digest(mutant) for mutant in mutants}
    return Survey(tuple(str(mutant) for mutant in mutants), absent, digests)


def _of_operators(
    stages: Stages, specification: Specification, catalogue: Catalogue
) -> tuple[list[Mutant], dict[str, str]]:
    mutants: list[Mutation] = []
    absent: dict[str, str] = {}
    for mutation in variants(stages, specification, catalogue):
        counts = site_counts(stages, mutation, catalogue)
        if not counts:
            absent[str(mutation)] = reason_without_sites(mutation, catalogue)
        elif specification.sites == "all":
            mutants.append(mutation)
        elif catalogue[mutation.operator].slots == (Slot.PIPELINE,):
            mutants += _single_passes(mutation, counts, first_only=specification.sites == "first")
        else:
            mutants += _single_sites(mutation, counts, first_only=specification.sites == "first")
    if specification.sites.startswith("sample:"):
        mutants = _sample(mutants, int(specification.sites.partition(":")[2]), specification.seed)
    return [Mutant((mutation,)) for mutation in mutants], absent


def variants(stages: Stages, specification: Specification, catalogue: Catalogue) -> Iterator[Mutation]:
    """Every variant of the operators that the specification names, in each slot that it names, at all sites.

    Of operators that are for each pass of the pipelines: those for passes where there is a site.
    """
    slots = [Slot(slot) for slot in specification.slots]
    for operator in catalogue.select(specification.operators):
        if operator.category is Category.CANARY:
            continue
        for slot in [slot for slot in slots if slot in operator.slots] if slots else [operator.slots[0]]:
            for variant in operator.all_variants() if specification.all_variants else operator.variants:
                yield operator.mutation(variant, slot)
            if isinstance(operator.rule, PipelineRule) and operator.rule.each_pass:
                yield from _of_each_pass(stages, operator)


def _of_each_pass(stages: Stages, operator: Operator) -> Iterator[Mutation]:
    names = dict.fromkeys(pass_names(stages.relax_passes) + pass_names(stages.tir_passes))
    for mutation in [operator.mutation({"pass": name}) for name in names]:
        if stages.pass_sites(Selection(mutation, operator, operator.read_parameters(mutation))):
            yield mutation


def site_counts(stages: Stages, mutation: Mutation, catalogue: Catalogue) -> dict[str, int]:
    """How many sites the mutation's operator has in each function that it matches, in its slot."""
    selection = Selection.resolve(mutation, catalogue)
    if selection.slot is Slot.PIPELINE:
        return stages.pass_sites(selection)
    return count_sites(stages.at(selection.slot), selection)


def reason_without_sites(mutation: Mutation, catalogue: Catalogue) -> str:
    """Why a mutation has no site: what its operator looks for."""
    operator: Operator = catalogue[mutation.operator]
    return f"{NO_SITE}: {operator.description}"


def _of_ids(stages: Stages, specification: Specification, catalogue: Catalogue) -> tuple[list[Mutant], dict[str, str]]:
    mutants = [catalogue.parse(text) for text in specification.mutants]
    for mutant in mutants:
        for mutation in mutant.mutations:
            counts = site_counts(stages, mutation, catalogue)
            _check_place(mutation, counts, stages.at(Selection.resolve(mutation, catalogue).slot))
    return mutants, {}


def _check_place(mutation: Mutation, counts: dict[str, int], module: tvm.IRModule) -> None:
    names = sorted(variable.name_hint for variable in module.functions)
    if not any(mutation.matches(name) for name in names):
        shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
        raise UsageError(f"mutant {mutation}: no function is named {mutation.function!r}; there are {shown}")
    if not counts:
        raise UsageError(f"mutant {mutation}: {mutation.operator} has no site in {mutation.function!r}")
    most = max(counts.values())
    if not any(ordinal in mutation.sites for ordinal in range(most)):
        raise UsageError(f"mutant {mutation}: there is no site #{mutation.sites}; the last one is #{most - 1}")


def _single_sites(mutation: Mutation, counts: dict[str, int], first_only: bool) -> list[Mutation]:
    places = [(function, ordinal) for function, count in sorted(counts.items()) for ordinal in range(count)]
    return [
        mutation.at(function, Sites(ordinal, ordinal)) for function, ordinal in (places[:1] if first_only else places)
    ]


def _single_passes(mutation: Mutation, counts: dict[str, int], first_only: bool) -> list[Mutation]:
    """A mutant for each place of the pass in the pipeline, which is that of all functions."""
    ordinals = range(1 if first_only else max(counts.values()))
    return [mutation.at(mutation.function, Sites(ordinal, ordinal)) for ordinal in ordinals]


def _sample(mutants: list[Mutation], count: int, seed: int) -> list[Mutation]:
    """``count`` of the mutants, drawn without replacement by operator in turn, so that none crowds out the rest."""
    generator = random.Random(seed)
    by_operator: dict[str, list[Mutation]] = {}
    for mutation in mutants:
        by_operator.setdefault(mutation.operator, []).append(mutation)
    for group in by_operator.values():
        generator.shuffle(group)
    chosen: list[Mutation] = []
    while len(chosen) < count and any(by_operator.values()):
        for group in by_operator.values():
            if group and len(chosen) < count:
                chosen.append(group.pop())
    return sorted(chosen)

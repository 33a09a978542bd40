"""The survey: which mutants a model has on a device, and which of them belong to a shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tvm_mutate.campaign.function_digests import FunctionDigests
from tvm_mutate.campaign.plan import SAMPLE, Pair, Specification
from tvm_mutate.errors import OperatorError, UsageError
from tvm_mutate.mutant import Catalogue, Category, Mutant, Mutation, PipelineRule, Sites, Slot, TextRule
from tvm_mutate.mutant.sampling import sample_sites, sample_together
from tvm_mutate.passes import Selection, take_effect_together
from tvm_mutate.pipeline import SiteCounts, Stages, pass_names

_NO_SITE = "no site: "


@dataclass(frozen=True)
class Survey:
    """The ids of the mutants of one model on one device, and for each variant without a mutant the reason.

    ``places`` maps each mutant to the digest of the unmutated functions that the mutant changes. ``since`` says which
    mutants were left out, if mutants in unchanged functions were.
    """

    mutants: tuple[str, ...]
    absent: dict[str, str]
    places: dict[str, str] = field(default_factory=dict)
    since: str = ""

    @property
    def failures(self) -> list[str]:
        """A sentence for each operator that is left out because it raised an error."""
        return list(dict.fromkeys(reason for reason in self.absent.values() if not reason.startswith(_NO_SITE)))


def survey(stages: Stages, specification: Specification, catalogue: Catalogue) -> Survey:
    """The survey of one lowered model; builds nothing, and generates code only for operators on generated text.

    Raises UsageError if an id of ``specification.mutants`` names a function or site that does not exist.
    """
    find = _of_ids if specification.mutants else _of_operators
    mutants, absent = find(stages, specification, catalogue)
    functions = FunctionDigests(stages, catalogue)
    ids = tuple(str(mutant) for mutant in mutants)
    digests = {text: functions.digest(mutant) for text, mutant in zip(ids, mutants, strict=True)}
    return Survey(ids, absent, digests)


def take_shard(surveys: Mapping[Pair, Survey], shard: tuple[int, int]) -> dict[Pair, Survey]:
    """The surveys with only the mutants of shard ``k`` of ``n``.

    Shards are disjoint, their sizes differ by at most one mutant, and together they hold all mutants. A mutant is in
    the same shard on all devices, so that the devices can be compared.
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


def _of_operators(
    stages: Stages, specification: Specification, catalogue: Catalogue
) -> tuple[list[Mutant], dict[str, str]]:
    mutants: list[Mutation] = []
    absent: dict[str, str] = {}
    asked = [*variants(specification, catalogue), *pass_variants(stages, specification, catalogue)]
    for mutation, counts in zip(asked, all_site_counts(stages, asked, catalogue), strict=True):
        if not counts:
            absent[str(mutation)] = counts.failure or _reason_without_sites(
                mutation, catalogue, stages.target.kind.name
            )
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
        try:
            return take_effect_together(stages.at(slot), [selections[mutation] for mutation in chosen])
        except OperatorError:
            return False

    return sample_together(by_slot, specification.order, count, specification.seed, take_effect)


def variants(specification: Specification, catalogue: Catalogue) -> Iterator[Mutation]:
    """Every variant of the named operators in each of the named slots, at all sites."""
    slots = [Slot(slot) for slot in specification.slots]
    for operator in catalogue.select(specification.operators):
        if operator.category is Category.CANARY:
            continue
        for slot in [slot for slot in slots if slot in operator.slots] if slots else [operator.slots[0]]:
            for variant in operator.all_variants() if specification.all_variants else operator.variants:
                yield operator.mutation(variant, slot)


def pass_variants(stages: Stages, specification: Specification, catalogue: Catalogue) -> Iterator[Mutation]:
    """The variants of operators that mutate one pass: one for each pass of the pipelines that has a site."""
    names = dict.fromkeys(pass_names(stages.relax_passes) + pass_names(stages.tir_passes))
    for operator in catalogue.select(specification.operators):
        in_slots = not specification.slots or any(str(slot) in specification.slots for slot in operator.slots)
        if in_slots and isinstance(operator.rule, PipelineRule) and operator.rule.each_pass:
            mutations = [operator.mutation({"pass": name}) for name in names]
            found = all_site_counts(stages, mutations, catalogue)
            yield from (mutation for mutation, counts in zip(mutations, found, strict=True) if counts)


def all_site_counts(stages: Stages, mutations: Sequence[Mutation], catalogue: Catalogue) -> list[SiteCounts]:
    """For each mutation, the number of sites of its operator in each function that the mutation matches."""
    return stages.all_site_counts([Selection.resolve(mutation, catalogue) for mutation in mutations])


def _reason_without_sites(mutation: Mutation, catalogue: Catalogue, kind: str) -> str:
    """Why a mutation has no site on a kind of target: the pattern of its operator, or the code that it needs."""
    operator = catalogue[mutation.operator]
    if isinstance(operator.rule, TextRule) and kind not in operator.rule.kinds:
        return (
            f"{_NO_SITE}{operator.name} knows the code generated for {', '.join(operator.rule.kinds)}, not for {kind}"
        )
    return f"{_NO_SITE}{operator.description}"


def _of_ids(stages: Stages, specification: Specification, catalogue: Catalogue) -> tuple[list[Mutant], dict[str, str]]:
    mutants = [catalogue.parse(text) for text in specification.mutants]
    kind = stages.target.kind.name
    for mutation in [mutation for mutant in mutants for mutation in mutant.mutations]:
        selection = Selection.resolve(mutation, catalogue)
        counts = stages.site_counts(selection)
        if counts.failure:
            raise UsageError(f"mutant {mutation}: {counts.failure}")
        rule = catalogue[mutation.operator].rule
        if isinstance(rule, TextRule) and kind not in rule.kinds:
            raise UsageError(f"mutant {mutation}: {_reason_without_sites(mutation, catalogue, kind)}")
        if reason := mutation.why_not_there(stages.function_names(selection.slot), counts):
            raise UsageError(reason)
    return mutants, {}


def _single_sites(mutation: Mutation, counts: dict[str, int], first_only: bool) -> list[Mutation]:
    sites = [(function, ordinal) for function, count in sorted(counts.items()) for ordinal in range(count)]
    return [mutation.at(function, Sites(each, each)) for function, each in (sites[:1] if first_only else sites)]


def _single_passes(mutation: Mutation, counts: dict[str, int], first_only: bool) -> list[Mutation]:
    """A mutant for each occurrence of the pass in the pipeline, which all functions share."""
    ordinals = range(1 if first_only else max(counts.values()))
    return [mutation.at(mutation.function, Sites(each, each)) for each in ordinals]

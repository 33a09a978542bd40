"""Plans: which mutants the kernels of a suite or a command have; a suite's mutation names a kernel by its digest."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tvm.target import Target

from tvm_mutate.activation import LoggedBuilds
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import (
    Catalogue,
    Category,
    FunctionRule,
    GraphRule,
    Mutation,
    PipelineRule,
    Sites,
    Slot,
    TirRule,
)
from tvm_mutate.mutant.sampling import sample_sites
from tvm_mutate.passes import Selection, count_all_sites
from tvm_mutate.pipeline import comes_from_kernel, pass_names, pass_sites, tir_pass_lists
from tvm_mutate.suite.recording import KernelText

# This many characters of a digest tell the kernels of one suite apart.
_DIGEST_LENGTH = 16
_SAMPLE = "sample:"


@dataclass(frozen=True)
class PlannedMutant:
    """A mutant of a command, and the digest of its kernel, or "" for a mutant of all kernels."""

    mutation: Mutation
    kernel: str = ""


def short(digest: str) -> str:
    """The beginning of a digest, as in the ids of mutants."""
    return digest[:_DIGEST_LENGTH]


def kernel_selections(words: Sequence[str], catalogue: Catalogue) -> list[Selection]:
    """Every variant of the selected operators that act in kernels.

    Raises UsageError if no operator acts in kernels or on TVM's list of passes: others are for campaigns only.
    """
    chosen = [
        each
        for each in _selections(words, catalogue)
        if isinstance(each.operator.rule, TirRule) and each.slot in (Slot.KERNEL, Slot.LOWERED)
    ]
    if not chosen and not any(isinstance(each.rule, PipelineRule) for each in catalogue.select(words)):
        raise UsageError(
            f"no operator of {','.join(words)!r} acts on kernels or on TVM's list of passes; a test-suite is tested "
            "with those only, such as 'tir.*' or 'pipeline.*'"
        )
    return chosen


def plan_suite(
    words: Sequence[str], texts: Mapping[str, KernelText], sites: str, seed: int, catalogue: Catalogue
) -> list[Mutation]:
    """The mutants of the kernels in ``texts`` (by digest) and of the list of passes, shuffled with the seed.

    ``all`` mutates all sites of a kernel at once, ``first`` the first site, ``each`` one site at a time; ``sample:N``
    draws N single sites, from each operator in turn.
    """
    mutations = [
        mutation.at(short(digest), place)
        for digest, kernel in sorted(texts.items())
        for mutation, count in sorted(kernel.sites.items(), key=lambda item: str(item[0]))
        for place in ([Sites()] if sites == "all" else _single(1 if sites == "first" else count))
    ]
    mutations += _pipeline_mutations(words, catalogue)
    if sites.startswith(_SAMPLE):
        mutations = sample_sites(mutations, int(sites.removeprefix(_SAMPLE)), seed)
    random.Random(seed).shuffle(mutations)
    return mutations


def plan_command(
    words: Sequence[str], recording: LoggedBuilds, sites: str, seed: int, catalogue: Catalogue
) -> list[PlannedMutant]:
    """The mutants of the selected operators in the recorded builds of a command.

    ``all`` mutates all sites of all kernels at once; ``each``, ``first`` (of each kernel) and ``sample:N`` mutate
    single sites. Faults in TVM's list of TIR passes are always single. Recordings hold no graphs: operators on graphs
    take part only with ``all``, if the command used a Relax pipeline. Raises UsageError if all operators act on
    generated code.
    """
    selections = _selections(words, catalogue)
    in_kernels = [each for each in selections if isinstance(each.operator.rule, TirRule)]
    on_graphs = [each.mutation for each in selections if isinstance(each.operator.rule, GraphRule | FunctionRule)]
    in_passes = [PlannedMutant(each) for each in _pipeline_mutations(words, catalogue)]
    if not in_kernels and not on_graphs and not in_passes:
        raise UsageError(f"--operators {','.join(words)!r} act on generated code, whose sites are not recorded")
    counts = _count_sites(in_kernels, recording)
    if sites == "all":
        mutations = [*dict.fromkeys(mutation for mutation, _, _ in counts)]
        mutations += on_graphs if recording.relax_pipelines else []
        return [*map(PlannedMutant, mutations), *in_passes]
    single = [
        PlannedMutant(mutation.at(name, place), digest)
        for (mutation, digest, name), count in counts.items()
        for place in _single(1 if sites == "first" else count)
    ]
    planned = [*single, *in_passes]
    if not sites.startswith(_SAMPLE):
        return planned
    # With the digest in the function's name, kernels of one name are different.
    unique = {
        each.mutation.at(f"{each.mutation.function}.{each.kernel}", each.mutation.sites): each for each in planned
    }
    return [unique[each] for each in sample_sites(list(unique), int(sites.removeprefix(_SAMPLE)), seed)]


def _pipeline_mutations(words: Sequence[str], catalogue: Catalogue) -> list[Mutation]:
    """Every fault of the selected operators in the list of passes of TVM's TIR pipeline, one pass at a time."""
    lists = tir_pass_lists(Target("llvm"))
    found = []
    for operator in catalogue.select(words):
        if not isinstance(operator.rule, PipelineRule):
            continue
        each_pass = [{"pass": name} for name in dict.fromkeys(pass_names(lists))] if operator.rule.each_pass else []
        for variant in [*operator.variants, *each_pass]:
            selection = Selection.resolve(operator.mutation(variant), catalogue)
            found += [selection.mutation.at("*", sites) for sites in _single(len(pass_sites(lists, selection)))]
    return found


def _selections(words: Sequence[str], catalogue: Catalogue) -> list[Selection]:
    """Every variant of the selected operators, without canaries."""
    operators = [each for each in catalogue.select(words) if each.category is not Category.CANARY]
    return [Selection.resolve(each.mutation(variant), catalogue) for each in operators for variant in each.variants]


def _single(count: int) -> list[Sites]:
    return [Sites(ordinal, ordinal) for ordinal in range(count)]


def _count_sites(selections: Sequence[Selection], recording: LoggedBuilds) -> Mapping[tuple[Mutation, str, str], int]:
    """The number of sites by mutation, digest of the kernel, and function, in the order of these keys."""
    counts: dict[tuple[Mutation, str, str], int] = {}
    for recorded in recording.modules:
        wanted = [each for each in selections if each.slot is recorded.slot]
        found = count_all_sites(recorded.module(), wanted) if wanted else []
        for selection, sites in zip(wanted, found, strict=True):
            for name, count in sites.items():
                for kernel, digest in recorded.digests.items():
                    if comes_from_kernel(name, kernel):
                        key = (selection.mutation, digest, name)
                        counts[key] = max(count, counts.get(key, 0))
    return dict(sorted(counts.items()))

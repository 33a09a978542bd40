"""Which mutants the kernels of a suite have; a mutation's function is the digest of the kernel."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from tvm.target import Target

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Category, Mutant, Mutation, PipelineRule, Sites, Slot, TirRule
from tvm_mutate.mutant.sampling import sample_sites
from tvm_mutate.passes import Selection
from tvm_mutate.pipeline import pass_names, pass_sites, tir_pass_lists
from tvm_mutate.suite.recording import KernelText

# So much of a kernel's digest tells it from all others in one suite.
DIGEST_LENGTH = 16
_SLOTS = (Slot.KERNEL, Slot.LOWERED)
_SAMPLE = "sample:"


def short(digest: str) -> str:
    """The beginning of a digest, as it stands in the ids of mutants."""
    return digest[:DIGEST_LENGTH]


def kernel_selections(words: Sequence[str], catalogue: Catalogue) -> list[Selection]:
    """Every variant of the operators that the words mean, of those that act in kernels.

    Raises UsageError where none of them does: what acts on graphs or on generated code is for campaigns.
    """
    operators = catalogue.select(words)
    chosen = [
        Selection.resolve(operator.mutation(variant), catalogue)
        for operator in operators
        if isinstance(operator.rule, TirRule) and operator.category is not Category.CANARY
        for variant in operator.variants
    ]
    chosen = [each for each in chosen if each.slot in _SLOTS]
    if not chosen and not any(isinstance(operator.rule, PipelineRule) for operator in operators):
        raise UsageError(
            f"no operator of {','.join(words)!r} acts on kernels or on TVM's list of passes; a test-suite is asked "
            "about those only, such as 'tir.*' or 'pipeline.*'"
        )
    return chosen


def pipeline_mutations(words: Sequence[str], catalogue: Catalogue) -> list[Mutation]:
    """Every fault in the list of passes of TVM's TIR pipeline that the words mean, one place at a time."""
    lists = tir_pass_lists(Target("llvm"))
    found = []
    for operator in catalogue.select(words):
        if not isinstance(operator.rule, PipelineRule):
            continue
        each_pass = [{"pass": name} for name in dict.fromkeys(pass_names(lists))] if operator.rule.each_pass else []
        for variant in [*operator.variants, *each_pass]:
            selection = Selection.resolve(operator.mutation(variant), catalogue)
            count = len(pass_sites(lists, selection))
            found += [selection.mutation.at("*", Sites(place, place)) for place in range(count)]
    return found


def plan(texts: Mapping[str, KernelText], pipeline: Iterable[Mutation], sites: str, seed: int) -> list[Mutation]:
    """The mutants at the sites that are asked for, in an order that the seed decides.

    ``texts`` are the kernels by digest. With ``all`` a mutant takes all sites of a kernel at once, with ``first`` the
    first one; ``sample:N`` are N single sites, drawn of each operator in turn.
    """
    taken = [
        (Mutant.parse(text).mutations[0], short(digest), count)
        for digest, kernel in sorted(texts.items())
        for text, count in sorted(kernel.sites.items())
    ]
    if sites == "all":
        mutations = [mutation.at(digest, Sites()) for mutation, digest, _ in taken]
    elif sites == "first":
        mutations = [mutation.at(digest, Sites(0, 0)) for mutation, digest, _ in taken]
    else:
        mutations = [
            mutation.at(digest, Sites(place, place)) for mutation, digest, count in taken for place in range(count)
        ]
    mutations += pipeline
    if sites.startswith(_SAMPLE):
        mutations = sample_sites(mutations, int(sites.removeprefix(_SAMPLE)), seed)
    random.Random(seed).shuffle(mutations)
    return mutations


def operators_without_sites(selections: Iterable[Selection], texts: Iterable[KernelText]) -> list[str]:
    """The names of operators of which no kernel has a site in any variant."""
    found = {Mutant.parse(text).mutations[0].operator for kernel in texts for text in kernel.sites}
    return sorted({each.operator.name for each in selections} - found)

"""Which mutants a command has: those of the kernels that it was recorded to build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tvm_mutate.activation import LoggedBuilds
from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Category, FunctionRule, GraphRule, Mutation, Sites, Slot, TirRule
from tvm_mutate.mutant.sampling import sample_sites
from tvm_mutate.passes import Selection, count_all_sites
from tvm_mutate.pipeline import comes_from_kernel
from tvm_mutate.suite.mutants import pipeline_mutations, short

_SAMPLE = "sample:"


@dataclass(frozen=True)
class Planned:
    """A mutant, and the digest of the only kernel that it is for; none where it is for all of them."""

    mutation: Mutation
    kernel: str = ""

    def __str__(self) -> str:
        return f"{self.mutation} [{short(self.kernel)}]" if self.kernel else str(self.mutation)


def plan_command(
    words: Sequence[str], recording: LoggedBuilds, sites: str, seed: int, catalogue: Catalogue
) -> list[Planned]:
    """The mutants of the operators that the words mean, in what the recorded command builds.

    With ``all`` a mutant takes all sites of all kernels at once; ``each``, ``first`` (of each kernel) and ``sample:N``
    take single sites. Faults in TVM's list of TIR passes are one at a place always; operators on graphs, whose modules
    are not recorded, take part with ``all`` only, where a Relax pipeline was seen. Raises UsageError for operators that
    are for generated code alone.
    """
    operators = [each for each in catalogue.select(words) if each.category is not Category.CANARY]
    variants = [each.mutation(variant) for each in operators for variant in each.variants]
    selections = [Selection.resolve(each, catalogue) for each in variants]
    in_kernels = [each for each in selections if isinstance(each.operator.rule, TirRule)]
    on_graphs = [each.mutation for each in selections if isinstance(each.operator.rule, GraphRule | FunctionRule)]
    of_passes = [Planned(each) for each in pipeline_mutations(words, catalogue)]
    if not in_kernels and not on_graphs and not of_passes:
        raise UsageError(f"--mutants {','.join(words)!r} are operators on generated code, whose sites are not recorded")
    places = _places(in_kernels, recording)
    if sites == "all":
        planned = [Planned(each) for each in dict.fromkeys(mutation for mutation, _, _ in places)]
        return [*planned, *(Planned(each) for each in on_graphs if recording.relax_pipelines), *of_passes]
    single = [
        Planned(mutation.at(name, Sites(ordinal, ordinal)), digest)
        for (mutation, digest, name), count in places.items()
        for ordinal in range(1 if sites == "first" else count)
    ]
    return _sampled([*single, *of_passes], sites, seed)


def _places(selections: Sequence[Selection], recording: LoggedBuilds) -> Mapping[tuple[Mutation, str, str], int]:
    """How many sites each mutation has in each function of each kernel, the kernels by digest; in a fixed order."""
    counts: dict[tuple[Mutation, str, str], int] = {}
    by_slot: dict[Slot, list[Selection]] = {}
    for selection in selections:
        by_slot.setdefault(selection.slot, []).append(selection)
    for recorded in recording.modules:
        wanted = by_slot.get(recorded.slot, [])
        found = count_all_sites(recorded.module(), wanted) if wanted else []
        for selection, sites in zip(wanted, found, strict=True):
            for name, count in sites.items():
                for digest in _kernels(name, recorded.digests):
                    place = (selection.mutation, digest, name)
                    counts[place] = max(count, counts.get(place, 0))
    return dict(sorted(counts.items()))


def _kernels(name: str, digests: Mapping[str, str]) -> Iterator[str]:
    yield from (digest for kernel, digest in digests.items() if comes_from_kernel(name, kernel))


def _sampled(planned: Sequence[Planned], sites: str, seed: int) -> list[Planned]:
    if not sites.startswith(_SAMPLE):
        return list(planned)
    # The digest in the place of the function tells kernels of one name apart.
    by_place = {
        each.mutation.at(f"{each.mutation.function}.{each.kernel}", each.mutation.sites): each for each in planned
    }
    return [by_place[each] for each in sample_sites(list(by_place), int(sites.removeprefix(_SAMPLE)), seed)]

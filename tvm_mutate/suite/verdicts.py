"""Verdicts: whether the tests of a suite kill a mutant, and why a mutant survives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tvm.target import Target

from tvm_mutate.device import EndingKind, run_isolated
from tvm_mutate.evaluate.memory import KINDS
from tvm_mutate.mutant import Catalogue, Mutation, Slot
from tvm_mutate.passes import Selection, apply_mutations, find_outside, find_sites, unified_difference
from tvm_mutate.pipeline import pass_names, tir_pass_lists, with_faults
from tvm_mutate.results import SuiteMutantRow, SuiteTestRow, SuiteTrialRow, SuiteVerdict, SurvivalReason, TestOutcome
from tvm_mutate.suite.kernel_calls import ValueChange
from tvm_mutate.suite.recording import KernelText, Recording
from tvm_mutate.suite.trials import NO_OP, Trial, Trials

_CONTEXT_LINES = 3
_SECONDS = 30.0


class Judge:
    """Gives mutants their verdicts: the tests that cover a mutant run until one of them kills the mutant.

    ``rows`` are the tests by name, with their canaries: only reliable tests judge. With ``each_build`` a mutant is in
    one build of a test at a time instead of in all builds.
    """

    def __init__(
        self,
        trials: Trials,
        catalogue: Catalogue,
        recordings: Sequence[Recording],
        rows: Mapping[str, SuiteTestRow],
        each_build: bool,
    ) -> None:
        self._trials, self._catalogue, self._rows, self._each_build = trials, catalogue, rows, each_build
        self._recordings = [each for each in recordings if rows[each.test.name].reliable]

    def judge(self, mutation: Mutation) -> SuiteMutantRow:
        """The row of a mutant, without the location of the mutant."""
        covering = self._covering(mutation)
        trials: list[SuiteTrialRow] = []
        verdict, reason = self._verdict(mutation, covering, trials)
        operator = self._catalogue[mutation.operator]
        killer = trials[-1] if verdict is SuiteVerdict.KILLED else None
        return SuiteMutantRow(
            id=str(mutation),
            operator=operator.name,
            category=operator.category,
            slot=operator.slot_of(operator.read_parameters(mutation)),
            kernel=mutation.function,
            name="*",
            verdict=verdict,
            kind=killer.kind if killer else None,
            killer=killer.test if killer else None,
            reason=reason,
            covering=tuple(each.test.name for each in covering),
            trials=tuple(trials),
            seconds=round(sum(each.seconds for each in trials), 3),
        )

    def _verdict(
        self, mutation: Mutation, covering: Sequence[Recording], trials: list[SuiteTrialRow]
    ) -> tuple[SuiteVerdict, str]:
        """The verdict and its reason; adds the trials that decide the verdict to ``trials``."""
        for recording in covering:
            for each in self._deciding(recording, mutation):
                name = recording.test.name
                trials.append(SuiteTrialRow(test=name, kind=each.kind, seconds=each.seconds, applied=each.applied))
                if each.kind.kills:
                    return SuiteVerdict.KILLED, each.reason
        if not covering:
            return SuiteVerdict.NO_COVERAGE, "no test builds it"
        if not any(each.applied for each in trials):
            return SuiteVerdict.NOT_APPLIED, ""
        return SuiteVerdict.SURVIVED, self._reason(mutation, covering)

    def _covering(self, mutation: Mutation) -> list[Recording]:
        """The tests that build the mutation's kernel: those that run it and pass the canaries first, the fastest first.

        Tests whose trials are in the journal come before all others: times differ between runs, verdicts must not.
        """
        return sorted(
            (each for each in self._recordings if each.builds_of(mutation)),
            key=lambda each: (
                not self._trials.is_known(each, mutation),
                each.never_runs(mutation),
                not self._rows[each.test.name].notices,
                each.run.seconds,
                each.test.name,
            ),
        )

    def _deciding(self, recording: Recording, mutation: Mutation) -> Iterator[Trial]:
        """The trials of a test that decide the verdict; each trial runs when the iterator reaches it."""
        if self._each_build and len(recording.builds_of(mutation)) > 1:
            return self._by_build(recording, mutation)
        return iter([self._trials.trial(recording, mutation)])

    def _by_build(self, recording: Recording, mutation: Mutation) -> Iterator[Trial]:
        return (self._trials.trial(recording, mutation, number) for number in recording.builds_of(mutation))

    def _reason(self, mutation: Mutation, covering: Sequence[Recording]) -> SurvivalReason:
        if all(each.never_runs(mutation) for each in covering):
            return SurvivalReason.NEVER_RUN
        if not self._each_build:
            several = [each for each in covering if len(each.builds_of(mutation)) > 1]
            if any(trial.kind.kills for each in several for trial in self._by_build(each, mutation)):
                return SurvivalReason.CANCELS_OUT
        changes = set()
        for recording in covering:
            digest = recording.kernel_of(mutation)
            if digest is not None and recording.runs(digest) and ValueChange.CHANGED not in changes:
                changes.add(self._value_change(recording, mutation))
        if changes == {ValueChange.UNCHANGED}:
            return SurvivalReason.UNCHANGED_VALUES
        running = [each for each in covering if not each.never_runs(mutation)]
        if all(self._rows[each.test.name].vanished is TestOutcome.PASSED for each in running):
            return SurvivalReason.NO_VALUE_CHECKED
        return SurvivalReason.WITHIN_TOLERANCE if ValueChange.CHANGED in changes else SurvivalReason.UNKNOWN

    def _value_change(self, recording: Recording, mutation: Mutation) -> ValueChange:
        change = self._trials.value_change(recording, mutation)
        if change is not ValueChange.DEPENDS:
            return change
        # The kernel overwrites other values than before, such as fresh memory. Do they matter without a fault?
        harmless = self._trials.value_change(recording, NO_OP.at(mutation.function, NO_OP.sites))
        return ValueChange.CHANGED if harmless is ValueChange.UNCHANGED else harmless


class Location(NamedTuple):
    """The name of a mutant's kernel, the first changed expression before and after, the difference, and ``undefined``.

    ``undefined`` says how the mutated kernel certainly leaves its buffers, as in a campaign.
    """

    name: str
    before: str = ""
    after: str = ""
    difference: str = ""
    undefined: tuple[str, ...] = ()


def kernel_text(mutation: Mutation, texts: Mapping[str, KernelText]) -> KernelText | None:
    """The kernel of a mutation; None for a fault in the compiler's list of passes, and for an unknown kernel."""
    if mutation.function == "*":
        return None
    return next((text for digest, text in texts.items() if digest.startswith(mutation.function)), None)


def locate(mutation: Mutation, texts: Mapping[str, KernelText], catalogue: Catalogue) -> Location:
    """The location of a mutation, found in a forked child: TVM's printer may crash on a mutated kernel."""
    text = kernel_text(mutation, texts)
    ending = run_isolated(lambda _stage: _location(mutation, text, catalogue), _SECONDS)
    if ending.kind is EndingKind.FINISHED:
        return Location(*ending.value)
    return Location(text.name if text else "*", difference=f"(cannot be shown: {ending.reason})")


def _location(mutation: Mutation, text: KernelText | None, catalogue: Catalogue) -> Location:
    selection = Selection.resolve(replace(mutation, function="*"), catalogue)
    if text is None or selection.slot is Slot.PIPELINE:
        lists = tir_pass_lists(Target("llvm"))
        before, after = ("\n".join(pass_names(each)) for each in (lists, with_faults(lists, [selection])))
        return Location("*", difference=unified_difference(before, after, "passes", _CONTEXT_LINES))
    module = text.module(selection.slot)
    sites = [site for site in find_sites(module, selection) if site.ordinal in mutation.sites]
    mutated, _ = apply_mutations(module, [selection])
    difference = unified_difference(module[text.name].script(), mutated[text.name].script(), text.name, _CONTEXT_LINES)
    before, after = (sites[0].before, sites[0].after) if sites else ("", "")
    if before == after:  # the site shows the first line of a block, and the change is further down
        before, after = (_first_line(difference, sign) for sign in "-+")
    outside = find_outside(mutated[text.name]).outside if selection.slot is Slot.KERNEL else ()
    return Location(text.name, before, after, difference, tuple(sorted({KINDS[each.kind] for each in outside})))


def _first_line(difference: str, sign: str) -> str:
    """The first line with this sign, after the header of the diff."""
    return next((line[1:].strip() for line in difference.splitlines()[2:] if line.startswith(sign)), "")

"""Trials: one run of one test with one mutant, made in a forked child or taken from the journal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import structs

from tvm_mutate.activation import activate, caught_builds
from tvm_mutate.mutant import Catalogue, Mutant, Mutation
from tvm_mutate.results import SuiteTestRow, TestOutcome
from tvm_mutate.suite.journal import SuiteJournal, TrialKey
from tvm_mutate.suite.kernel_calls import KernelCalls, ValueChange, compare_values
from tvm_mutate.suite.recording import BuildRecorder, Recording
from tvm_mutate.suite.testing import TestRun, run_test

# The two canaries: a statement that does nothing before each store; and no store in any kernel, locals included.
(NO_OP,) = Mutant.parse("canary.no-op@*#*").mutations
(VANISHED,) = Mutant.parse("tir.drop-store@*#*").mutations
# The limit of a trial, as a multiple of the seconds of the test without a mutant.
_SLACK = 5.0


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How a test ended with a mutant; ``applied`` says whether the mutant changed anything that the test built.

    ``values`` says whether the mutated kernel left other values than before, if that was compared.
    """

    kind: TestOutcome
    reason: str
    seconds: float
    applied: bool
    values: ValueChange = ValueChange.UNKNOWN


class Trials:
    """Runs tests with mutants in forked children, or takes the outcome from the journal.

    With ``again`` tests run with mutants that the journal knows, too; canaries are still taken from the journal.
    ``repeats`` is the number of further unmutated runs of a test.
    """

    def __init__(
        self, journal: SuiteJournal, catalogue: Catalogue, timeout: float, repeats: int, again: bool = False
    ) -> None:
        self._journal, self._catalogue, self._timeout, self._again = journal, catalogue, timeout, again
        self._repeats = repeats

    def is_known(self, recording: Recording, mutation: Mutation) -> bool:
        """Whether the journal has the trial of the test with the mutation in all builds of the kernel."""
        return not self._again and self._journal.has(_key(recording, mutation, "all"))

    def trial(self, recording: Recording, mutation: Mutation, build: int | None = None) -> Trial:
        """The trial with the mutation in the build of this number, or in all builds of the kernel."""
        way = "all" if build is None else f"build {build}"
        return self._trial(recording, mutation, way, lambda: self._mutated(recording, mutation, build))

    def value_change(self, recording: Recording, mutation: Mutation) -> ValueChange:
        """Whether the mutation changes the values that its kernel leaves in the test."""
        return self._trial(recording, mutation, "values", lambda: self._compared(recording, mutation)).values

    def with_canaries(self, row: SuiteTestRow, recording: Recording) -> SuiteTestRow:
        """The row of a test with the outcomes of its canaries if it passes, and whether the test is flaky.

        A test that is flaky or kills the harmless canary is not reliable: its outcomes with mutants mean nothing.
        """
        flaky = self._flakiness(recording)
        if recording.run.outcome is not TestOutcome.PASSED:
            return structs.replace(row, flaky=flaky, reliable=False if flaky else None)
        no_op, vanished = TestOutcome.PASSED, None
        if recording.built and not flaky:
            no_op = self.trial(recording, NO_OP).kind
            if no_op.kills:
                again = self._trial(recording, NO_OP, "all again", lambda: self._mutated(recording, NO_OP)).kind
                flaky = _different([no_op, again], "with a mutant that changes nothing")
            trial = self.trial(recording, VANISHED)
            vanished = trial.kind if trial.applied else None
        notices = vanished is not None and vanished.kills
        reliable = not flaky and not no_op.kills
        return structs.replace(row, vanished=vanished, no_op=no_op, notices=notices, reliable=reliable, flaky=flaky)

    def _flakiness(self, recording: Recording) -> str:
        """The outcomes of the unmutated runs of a test if they differ, "" otherwise.

        A test that passes and builds nothing judges nothing, and is not run again; neither is a test that hangs. A
        flaky test of an earlier run stays flaky; a test that did not differ then, but ends differently today, runs
        again: its surroundings may have changed.
        """
        outcome = recording.run.outcome
        ends = outcome not in (TestOutcome.SKIPPED, TestOutcome.TIMEOUT)
        if not self._repeats or not ends or not (recording.built or outcome.kills):
            return ""
        key = _key(recording, NO_OP, f"{self._repeats} repeats")
        known = self._journal.find(key)
        if known is not None and (known["reason"] or known["kind"] == outcome):
            return str(known["reason"])
        runs = [self._run(recording, lambda: nullcontext(lambda: None)) for _ in range(self._repeats)]
        flaky = _different([outcome, *(run.outcome for run in runs)], "without a mutant")
        seconds = sum(run.seconds for run in runs)
        self._journal.add(key, Trial(kind=outcome, reason=flaky, seconds=round(seconds, 3), applied=False))
        return flaky

    def _trial(
        self,
        recording: Recording,
        mutation: Mutation,
        way: str,
        around: Callable[[], AbstractContextManager[Callable[[], tuple[bool, ValueChange]]]],
    ) -> Trial:
        key = _key(recording, mutation, way)
        known = self._journal.find(key) if mutation in (NO_OP, VANISHED) or not self._again else None
        if known is not None:
            return msgspec.convert(known, Trial)
        run = self._run(recording, around)
        # A child that crashed or hung notes nothing: as the test passes without the mutant, the mutant was applied.
        applied, values = run.noted or (True, ValueChange.UNKNOWN)
        trial = Trial(
            kind=run.outcome, reason=run.reason, seconds=round(run.seconds, 3), applied=applied, values=values
        )
        self._journal.add(key, trial)
        return trial

    def _run(self, recording: Recording, around: Callable[[], AbstractContextManager[Callable[[], Any]]]) -> TestRun:
        limit = max(self._timeout, _SLACK * recording.run.seconds)
        return run_test(recording.test, limit, around, filled=recording.filled)

    @contextlib.contextmanager
    def _mutated(
        self, recording: Recording, mutation: Mutation, build: int | None = None
    ) -> Iterator[Callable[[], tuple[bool, ValueChange]]]:
        mutant = Mutant((replace(mutation, function="*"),))
        digest = recording.kernel_of(mutation)
        with activate(mutant, kernel=digest, build=build, catalogue=self._catalogue) as activation:
            yield lambda: (any(each.changed for each in activation.applied), ValueChange.UNKNOWN)

    @contextlib.contextmanager
    def _compared(self, recording: Recording, mutation: Mutation) -> Iterator[Callable[[], tuple[bool, ValueChange]]]:
        """The mutant in all builds, with instrumented kernels whose values are compared with the recorded ones."""
        digest = recording.kernel_of(mutation) or ""
        calls = KernelCalls()
        recorder = BuildRecorder([], {each.digest for each in recording.built}, calls)
        # The recorder is the inner context: it sees kernels before the mutant is applied, and lowered code after.
        with self._mutated(recording, mutation) as applied, calls.listening(), caught_builds(recorder):
            before = recording.values.get(digest)
            yield lambda: (applied()[0], compare_values(before, calls.values().get(digest)))


def _different(outcomes: Sequence[TestOutcome], how: str) -> str:
    """The outcomes in words if some fail and others do not, "" otherwise."""
    if len({"fails" if each.kills else each for each in outcomes}) == 1:
        return ""
    return f"{', '.join(outcomes)} in {len(outcomes)} runs {how}"


def _key(recording: Recording, mutation: Mutation, way: str) -> TrialKey:
    test = recording.test
    return TrialKey(str(mutation), way, recording.code_of(mutation), test.name, test.source)

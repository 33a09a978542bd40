"""Trials: one run of one test with one mutant, made in a forked child or taken from the journal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import msgspec
from msgspec import structs

from tvm_mutate.activation import activate, caught_builds
from tvm_mutate.mutant import Catalogue, Mutant, Mutation
from tvm_mutate.results import SuiteTestRow, TestOutcome
from tvm_mutate.suite.journal import SuiteJournal, TrialKey
from tvm_mutate.suite.kernel_calls import KernelCalls, ValueChange, compare_values
from tvm_mutate.suite.recording import BuildRecorder, Recording
from tvm_mutate.suite.testing import run_test

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
    """

    def __init__(self, journal: SuiteJournal, catalogue: Catalogue, timeout: float, again: bool = False) -> None:
        self._journal, self._catalogue, self._timeout, self._again = journal, catalogue, timeout, again

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
        """The row of a passing test with the outcomes of its canaries.

        A test that kills the harmless canary is not reliable: its outcomes with mutants mean nothing.
        """
        no_op, vanished = TestOutcome.PASSED, None
        if recording.built:
            no_op = self.trial(recording, NO_OP).kind
            trial = self.trial(recording, VANISHED)
            vanished = trial.kind if trial.applied else None
        notices = vanished is not None and vanished.kills
        return structs.replace(row, vanished=vanished, no_op=no_op, notices=notices, reliable=not no_op.kills)

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
        limit = max(self._timeout, _SLACK * recording.run.seconds)
        run = run_test(recording.test, limit, around, filled=recording.filled)
        # A child that crashed or hung notes nothing: as the test passes without the mutant, the mutant was applied.
        applied, values = run.noted or (True, ValueChange.UNKNOWN)
        trial = Trial(
            kind=run.outcome, reason=run.reason, seconds=round(run.seconds, 3), applied=applied, values=values
        )
        self._journal.add(key, trial)
        return trial

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


def _key(recording: Recording, mutation: Mutation, way: str) -> TrialKey:
    test = recording.test
    return TrialKey(str(mutation), way, recording.code_of(mutation), test.name, test.source)

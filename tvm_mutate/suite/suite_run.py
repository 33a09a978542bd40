"""A run on a test-suite: records the tests, runs their canaries, and judges mutants of their kernels."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Mutant, Mutation
from tvm_mutate.results import (
    SuiteEffort,
    SuiteKernelRow,
    SuiteMode,
    SuiteMutantRow,
    SuiteResults,
    SuiteSettings,
    SuiteTestRow,
    SuiteVerdict,
    environment,
    read_suite_json,
)
from tvm_mutate.suite.journal import SuiteJournal
from tvm_mutate.suite.planning import kernel_selections, plan_suite, short
from tvm_mutate.suite.recording import KernelText, Recording, record
from tvm_mutate.suite.testing import SuiteTest
from tvm_mutate.suite.trials import Trials
from tvm_mutate.suite.verdicts import Judge, kernel_text, locate

# A recorded test takes longer than a plain one: the sites of its kernels are counted.
_RECORDING_SLACK = 6.0


class SuiteRun:
    """One run on the tests of a suite; ``tell`` receives a line about the progress now and then."""

    def __init__(
        self, settings: SuiteSettings, catalogue: Catalogue, journal: SuiteJournal, tell: Callable[[str], None]
    ) -> None:
        self._settings, self._catalogue, self._journal, self._tell = settings, catalogue, journal, tell
        self._trials = Trials(journal, catalogue, settings.timeout, settings.repeats, again=bool(settings.mutants))
        self._requested = [catalogue.parse(text) for text in settings.mutants]
        names = sorted({each.operator for mutant in self._requested for each in mutant.mutations})
        self._operators = tuple(names) or settings.operators
        self._selections = kernel_selections(self._operators, catalogue)
        self._texts: dict[str, KernelText] = {}
        since = settings.since
        self._before = {row.kernel for row in read_suite_json(since).kernels} if since is not None else None

    def run(self, tests: Sequence[SuiteTest]) -> SuiteResults:
        """The results of the run; raises UsageError for a mutant whose kernel no test builds."""
        started = time.monotonic()
        recordings = [self._recorded(test, number, len(tests)) for number, test in enumerate(tests, 1)]
        rows = {each.test.name: _test_row(each) for each in recordings}
        recorded = time.monotonic()
        if self._settings.mode is not SuiteMode.RECORD:
            for number, recording in enumerate(recordings, 1):
                name = recording.test.name
                rows[name] = self._trials.with_canaries(rows[name], recording)
                self._tell(f"canaries {number}/{len(recordings)}  {name}")
        checked = time.monotonic()
        planned = self._planned() if self._settings.mode is SuiteMode.RUN else []
        judge = Judge(self._trials, self._catalogue, recordings, rows, self._settings.builds == "each")
        judged = self._judged(planned, judge)
        mutants = tuple(self._located(mutation, row) for mutation, row in zip(planned, judged, strict=False))
        with_site = {mutation.operator for text in self._texts.values() for mutation in text.sites}
        return SuiteResults(
            settings=self._settings,
            environment=environment(),
            effort=SuiteEffort(
                trials=self._journal.added,
                trials_reused=self._journal.reused,
                mutants_planned=len(planned),
                mutants_left_out=len(planned) - len(judged),
                seconds_recording=round(recorded - started, 3),
                seconds_canaries=round(checked - recorded, 3),
                seconds_judging=round(time.monotonic() - checked, 3),
            ),
            tests=tuple(rows.values()),
            kernels=_kernel_rows(self._texts, recordings),
            mutants=mutants,
            operators_without_site=tuple(sorted({each.operator.name for each in self._selections} - with_site)),
        )

    def _recorded(self, test: SuiteTest, number: int, count: int) -> Recording:
        recording = record(test, self._selections, self._texts, _RECORDING_SLACK * self._settings.timeout)
        self._texts.update(recording.texts)
        self._tell(f"recorded {number}/{count}  {test.name}: {recording.run.outcome}")
        return recording

    def _planned(self) -> list[Mutation]:
        if self._requested:
            return [self._only_mutation(mutant) for mutant in self._requested]
        settings = self._settings
        planned = plan_suite(self._operators, self._texts, settings.sites, settings.seed, self._catalogue)
        if self._before is None:
            return planned
        new = {short(digest) for digest in self._texts} - self._before
        kept = [each for each in planned if new and each.function in {*new, "*"}]
        self._tell(
            f"since {settings.since}: {len(new)} of {len(self._texts)} kernels are new, with {len(kept)} mutants; "
            f"{len(planned) - len(kept)} are left out"
        )
        return kept

    def _only_mutation(self, mutant: Mutant) -> Mutation:
        mutation, *others = mutant.mutations
        if others:
            raise UsageError(f"mutant {mutant} has several mutations; a suite takes mutants with one mutation only")
        if mutation.function != "*" and kernel_text(mutation, self._texts) is None:
            raise UsageError(
                f"mutant {mutation}: no test that was collected builds a kernel whose digest begins with "
                f"{mutation.function!r}; take the id from a report"
            )
        return mutation

    def _judged(self, planned: Sequence[Mutation], judge: Judge) -> list[SuiteMutantRow]:
        deadline = None if self._settings.budget is None else time.monotonic() + self._settings.budget
        judged: list[SuiteMutantRow] = []
        for number, mutation in enumerate(planned, 1):
            if deadline is not None and time.monotonic() > deadline:
                self._tell(f"budget used up: {len(planned) - len(judged)} of {len(planned)} mutants left out")
                break
            judged.append(judge.judge(mutation))
            self._tell(f"judged {number}/{len(planned)}  {mutation}: {judged[-1].verdict}")
        return judged

    def _located(self, mutation: Mutation, row: SuiteMutantRow) -> SuiteMutantRow:
        """The row with the whole location of a survivor or a requested mutant, and with the kernel's name of others."""
        if row.verdict is SuiteVerdict.SURVIVED or self._requested:
            return replace(row, **locate(mutation, self._texts, self._catalogue)._asdict())
        text = kernel_text(mutation, self._texts)
        return replace(row, name=text.name) if text else row


def _test_row(recording: Recording) -> SuiteTestRow:
    kernels = {each.digest for each in recording.built}
    runs = [recording.runs(digest) for digest in kernels]
    return SuiteTestRow(
        test=recording.test.name,
        file=recording.test.file,
        outcome=recording.run.outcome,
        reason=recording.run.reason,
        seconds=round(recording.run.seconds, 3),
        builds=len({each.build for each in recording.built}),
        kernels=len(kernels),
        kernels_executed=None if recording.executed is None else runs.count(True),
        kernels_unknown=runs.count(None),
        obstacle=recording.obstacle,
        filled_memory=recording.filled,
        vanished=None,
        notices=None,
    )


def _kernel_rows(texts: Mapping[str, KernelText], recordings: Sequence[Recording]) -> tuple[SuiteKernelRow, ...]:
    builders: dict[str, list[Recording]] = {digest: [] for digest in texts}
    for recording in recordings:
        for digest in dict.fromkeys(each.digest for each in recording.built):
            builders[digest].append(recording)
    return tuple(
        SuiteKernelRow(
            kernel=short(digest),
            name=text.name,
            sites=sum(text.sites.values()),
            variants=len(text.sites),
            built_by=tuple(each.test.name for each in builders[digest]),
            run_by=tuple(each.test.name for each in builders[digest] if each.runs(digest)),
        )
        for digest, text in texts.items()
    )

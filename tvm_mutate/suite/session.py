"""A session: the tests of a suite recorded, their canaries asked, and mutants of their kernels judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from tvm_mutate.errors import UsageError
from tvm_mutate.mutant import Catalogue, Mutant, Mutation
from tvm_mutate.passes import Selection
from tvm_mutate.suite.canaries import Canaries
from tvm_mutate.suite.description import Place, describe, text_of
from tvm_mutate.suite.journal import SuiteJournal
from tvm_mutate.suite.mutants import kernel_selections, operators_without_sites, pipeline_mutations, plan
from tvm_mutate.suite.recording import KernelText, Recording, record
from tvm_mutate.suite.results import SuiteResults, kernel_rows, mutant_row, test_row
from tvm_mutate.suite.testing import SuiteTest, TestOutcome
from tvm_mutate.suite.trials import Trials
from tvm_mutate.suite.verdicts import SURVIVED, Judge, MutantVerdict

RECORD, CANARY, RUN = "record", "canary", "run"
# A test that is recorded takes longer than by itself: its kernels are looked into.
_RECORDING_SLACK = 6.0


@dataclass(frozen=True)
class Settings:
    """What a session is asked for.

    ``mode`` is ``record``, ``canary`` or ``run``; ``operators`` are globs or names of sets; ``sites`` is ``all``,
    ``first``, ``each`` or ``sample:N``; ``builds`` is ``all`` or ``each``; ``budget`` are seconds for judging mutants,
    None for as long as it takes; ``timeout`` is the least limit in seconds of a run of a test; ``mutants`` are ids of
    those that are wanted, in the place of ``operators`` and ``sites``.
    """

    mode: str
    operators: tuple[str, ...] = ("default",)
    sites: str = "first"
    seed: int = 0
    builds: str = "all"
    budget: float | None = None
    timeout: float = 10.0
    mutants: tuple[str, ...] = ()


class Session:
    """One session on the tests of a suite; ``tell`` gets a line for people now and then."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, journal: SuiteJournal, tell: Callable[[str], None]
    ) -> None:
        self._settings, self._catalogue, self._journal, self._tell = settings, catalogue, journal, tell
        self._trials = Trials(journal, catalogue, settings.timeout, again=bool(settings.mutants))
        self._asked = [catalogue.parse(text).mutations for text in settings.mutants]
        words = sorted({each.operator for mutations in self._asked for each in mutations}) or settings.operators
        self._words = tuple(words)
        self._selections: list[Selection] = kernel_selections(self._words, catalogue)
        self._texts: dict[str, KernelText] = {}

    def run(self, tests: Sequence[SuiteTest]) -> SuiteResults:
        """The results of the session; raises UsageError for a mutant whose kernel no test builds."""
        started = time.monotonic()
        recordings = [self._recorded(test, number, len(tests)) for number, test in enumerate(tests, 1)]
        recorded = time.monotonic()
        passing = [each for each in recordings if each.run.outcome.kind is TestOutcome.PASSED]
        canaries: dict[str, Canaries] = {}
        if self._settings.mode != RECORD:
            for number, recording in enumerate(passing, 1):
                canaries[recording.test.name] = self._trials.canaries(recording)
                self._say("canaries", number, len(passing), recording.test.name)
        asked = time.monotonic()
        judged: list[MutantVerdict] = []
        planned: list[Mutation] = []
        if self._settings.mode == RUN:
            planned = self._planned()
            believed = [each for each in passing if canaries[each.test.name].is_reliable]
            judged = self._judged(planned, Judge(self._trials, believed, canaries, self._settings.builds == "each"))
        rows = tuple(mutant_row(each, self._place(each), self._catalogue) for each in judged)
        effort = {
            "trials": self._journal.added,
            "trials_reused": self._journal.reused,
            "mutants_planned": len(planned),
            "mutants_left_out": len(planned) - len(judged),
            "seconds_recording": round(recorded - started, 3),
            "seconds_canaries": round(asked - recorded, 3),
            "seconds_judging": round(time.monotonic() - asked, 3),
        }
        return SuiteResults(
            settings=asdict(self._settings) | {name: list(getattr(self._settings, name)) for name in _TUPLES},
            effort=effort,
            tests=tuple(test_row(each, canaries.get(each.test.name)) for each in recordings),
            kernels=kernel_rows(self._texts, recordings),
            mutants=rows,
            operators_without_site=tuple(operators_without_sites(self._selections, self._texts.values())),
        )

    def _recorded(self, test: SuiteTest, number: int, count: int) -> Recording:
        recording = record(test, self._selections, self._texts, _RECORDING_SLACK * self._settings.timeout)
        for digest, text in recording.texts.items():
            self._texts.setdefault(digest, text)
        self._say("recorded", number, count, f"{test.name}: {recording.run.outcome.kind}")
        return recording

    def _planned(self) -> list[Mutation]:
        if not self._asked:
            pipeline = pipeline_mutations(self._words, self._catalogue)
            return plan(self._texts, pipeline, self._settings.sites, self._settings.seed)
        for mutations in self._asked:
            self._check(mutations)
        return [mutations[0] for mutations in self._asked]

    def _check(self, mutations: Sequence[Mutation]) -> None:
        mutation = mutations[0]
        if len(mutations) > 1:
            raise UsageError(f"mutant {Mutant(tuple(mutations))} has several mutations; a suite takes one at a time")
        if mutation.function != "*" and not any(digest.startswith(mutation.function) for digest in self._texts):
            raise UsageError(
                f"mutant {mutation}: no test that was collected builds a kernel whose digest begins with "
                f"{mutation.function!r}; take the id from a report"
            )

    def _judged(self, planned: Sequence[Mutation], judge: Judge) -> list[MutantVerdict]:
        deadline = None if self._settings.budget is None else time.monotonic() + self._settings.budget
        judged: list[MutantVerdict] = []
        for number, mutation in enumerate(planned, 1):
            if deadline is not None and time.monotonic() > deadline:
                self._tell(f"budget used up: {len(planned) - len(judged)} of {len(planned)} mutants left out")
                break
            verdict = judge.judge(mutation)
            judged.append(verdict)
            self._say("judged", number, len(planned), f"{mutation}: {verdict.verdict}")
        return judged

    def _place(self, verdict: MutantVerdict) -> Place:
        """Where a mutant is: of survivors, and of those that were asked for by their ids."""
        if verdict.verdict == SURVIVED or self._asked:
            return describe(verdict.mutation, self._texts, self._catalogue)
        text = text_of(verdict.mutation, self._texts)
        return Place(text.name if text else "*")

    def _say(self, what: str, number: int, count: int, detail: str) -> None:
        self._tell(f"{what} {number}/{count}  {detail}")


_TUPLES = ("operators", "mutants")

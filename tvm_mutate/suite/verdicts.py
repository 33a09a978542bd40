"""Verdicts: what the tests that cover a mutant say of it, and why it survives where it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tvm_mutate.mutant import Mutant, Mutation
from tvm_mutate.suite.calls import CHANGED, DEPENDS, UNCHANGED
from tvm_mutate.suite.canaries import NO_OP, Canaries
from tvm_mutate.suite.recording import Recording
from tvm_mutate.suite.trials import ALL_BUILDS, ONE_BUILD, TELLING, Trial, Trials, kernel_of

KILLED, SURVIVED, NO_COVERAGE, NOT_APPLIED = "killed", "survived", "no coverage", "not applied"

NO_TEST_BUILDS_IT = "no test builds it"
NEVER_RUN = "built, never run"
CANCELS_OUT = "same fault in both builds"
UNCHANGED_VALUES = "ran, values unchanged"
WITHIN_TOLERANCE = "values changed, within the tolerance"
UNKNOWN_REASON = "unknown"


@dataclass(frozen=True)
class MutantVerdict:
    """What became of a mutant: its verdict, the trials that led to it, and the reason where it survived.

    ``trials`` are those that decide, in order, the last one the kill where there is one; ``covering`` names all tests
    that build the kernel, those that run it first.
    """

    mutation: Mutation
    verdict: str
    covering: tuple[str, ...]
    trials: tuple[Trial, ...]
    reason: str = ""

    @property
    def killer(self) -> Trial | None:
        """The trial that killed it."""
        return self.trials[-1] if self.verdict == KILLED else None


class Judge:
    """Gives mutants their verdicts: the tests that cover one are asked until one of them kills it."""

    def __init__(
        self, trials: Trials, recordings: Sequence[Recording], canaries: Mapping[str, Canaries], each_build: bool
    ) -> None:
        self._trials, self._recordings, self._canaries, self._each_build = trials, recordings, canaries, each_build

    def covering(self, mutation: Mutation) -> list[Recording]:
        """The tests that build the mutation's kernel: those that run it and notice things first, the fastest first.

        Before them come those whose answers are known: times differ from session to session, and so would the order.
        """
        found = [each for each in self._recordings if each.built and _builds(each, mutation)]
        return sorted(
            found,
            key=lambda each: (
                not self._trials.is_known(each, mutation),
                self._rank(each, mutation),
                each.run.seconds,
                each.test.name,
            ),
        )

    def _rank(self, recording: Recording, mutation: Mutation) -> tuple[bool, bool]:
        digest = kernel_of(mutation, recording)
        never = recording.executed is not None and (
            recording.runs(digest) is False if digest is not None else not any(recording.executed.values())
        )
        return never, not self._canaries[recording.test.name].notices

    def judge(self, mutation: Mutation) -> MutantVerdict:
        """The verdict on a mutant."""
        covering = self.covering(mutation)
        names = tuple(each.test.name for each in covering)
        if not covering:
            return MutantVerdict(mutation, NO_COVERAGE, names, (), NO_TEST_BUILDS_IT)
        made: list[Trial] = []
        for recording in covering:
            for trial in self._asked(recording, mutation):
                made.append(trial)
                if trial.kills:
                    return MutantVerdict(mutation, KILLED, names, tuple(made))
        if not any(trial.applied for trial in made):
            return MutantVerdict(mutation, NOT_APPLIED, names, tuple(made))
        return MutantVerdict(mutation, SURVIVED, names, tuple(made), self._reason(mutation, covering))

    def _asked(self, recording: Recording, mutation: Mutation) -> Iterator[Trial]:
        """The trials of a test that decide, each made when it is asked for."""
        if self._each_build and len(_builds(recording, mutation)) > 1:
            return self._one_by_one(recording, mutation)
        return iter([self._trials.ask(recording, mutation, ALL_BUILDS)])

    def _one_by_one(self, recording: Recording, mutation: Mutation) -> Iterator[Trial]:
        """Trials with the mutant in one build of the test at a time."""
        return (self._trials.ask(recording, mutation, ONE_BUILD, number) for number in _builds(recording, mutation))

    def _reason(self, mutation: Mutation, covering: Sequence[Recording]) -> str:
        """Why all the tests let the mutant pass."""
        if all(self._rank(each, mutation)[0] for each in covering):
            return NEVER_RUN
        if not self._each_build:
            several = [each for each in covering if len(_builds(each, mutation)) > 1]
            if any(trial.kills for each in several for trial in self._one_by_one(each, mutation)):
                return CANCELS_OUT
        told = set()
        for recording in covering:
            if mutation.function != "*" and recording.runs(kernel_of(mutation, recording) or ""):
                told.add(self._values(recording, mutation))
            if CHANGED in told:
                return WITHIN_TOLERANCE
        return UNCHANGED_VALUES if told == {UNCHANGED} else UNKNOWN_REASON

    def _values(self, recording: Recording, mutation: Mutation) -> str:
        """Whether the mutant's kernel leaves other values in a test, and that is because of the mutant."""
        values = self._trials.ask(recording, mutation, TELLING).values
        if values != DEPENDS:
            return values
        # It writes where other values were, such as into fresh memory. Do they matter where there is no fault?
        (no_op,) = Mutant.parse(NO_OP).mutations
        calm = self._trials.ask(recording, no_op.at(mutation.function, no_op.sites), TELLING).values
        return CHANGED if calm == UNCHANGED else calm


def _builds(recording: Recording, mutation: Mutation) -> list[int]:
    """The numbers of the test's builds that the mutation is for."""
    digest = kernel_of(mutation, recording)
    if digest is not None:
        return recording.builds_of(digest)
    return sorted({each.build for each in recording.built}) if mutation.function == "*" else []

"""Trials: one run of one test with one mutant, or what an earlier session knows of it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace

from tvm_mutate.activation import activate, caught_builds
from tvm_mutate.mutant import Catalogue, Mutant, Mutation
from tvm_mutate.suite.calls import UNKNOWN, KernelCalls, compare_values
from tvm_mutate.suite.canaries import NO_OP, VANISHED, Canaries, executes
from tvm_mutate.suite.journal import Question, SuiteJournal
from tvm_mutate.suite.recording import Recorder, Recording
from tvm_mutate.suite.testing import TestOutcome, run_test

# In which builds of the test a mutant is: in all, or in the one with a number; or in all, with kernels that tell.
ALL_BUILDS, ONE_BUILD, TELLING = "all", "build", "telling"
# A test with a mutant may take so many times as long as it does without.
_SLACK = 5.0


@dataclass(frozen=True)
class Trial:
    """How a test ended with a mutant; ``applied`` says whether that changed anything that the test built.

    ``values`` says whether the mutated kernel left other values than before, where that was asked.
    """

    test: str
    kind: str
    reason: str
    seconds: float
    applied: bool
    values: str = UNKNOWN

    @property
    def kills(self) -> bool:
        """Whether the test noticed the mutant."""
        return TestOutcome(self.kind).kills


class Trials:
    """Answers how tests end with mutants: from the journal, or by running the test in a forked child.

    With ``again`` a test is run with a mutant whether that is known or not; what the canaries said is believed.
    """

    def __init__(self, journal: SuiteJournal, catalogue: Catalogue, timeout: float, again: bool = False) -> None:
        self._journal, self._catalogue, self._timeout, self._again = journal, catalogue, timeout, again

    def limit(self, recording: Recording) -> float:
        """The seconds that a run of the test with a mutant may take."""
        return max(self._timeout, _SLACK * recording.run.seconds)

    def is_known(self, recording: Recording, mutation: Mutation) -> bool:
        """Whether it is known already how the test ends with the mutation at all builds of the kernel."""
        return not self._again and self._journal.has_answer(_question(recording, mutation, ALL_BUILDS, None))

    def ask(self, recording: Recording, mutation: Mutation, way: str = ALL_BUILDS, build: int | None = None) -> Trial:
        """How the test ends with the mutation, at all builds of the kernel or in the one with this number."""
        digest = kernel_of(mutation, recording)
        question = _question(recording, mutation, way, build)
        is_canary = str(mutation) in (NO_OP, VANISHED)
        known = self._journal.answer(question) if is_canary or not self._again else None
        if known is not None:
            return Trial(recording.test.name, **known)

        def around() -> AbstractContextManager[Callable[[], tuple[bool, str]]]:
            return (
                self._telling(recording, mutation, digest) if way == TELLING else self._mutated(mutation, digest, build)
            )

        run = run_test(recording.test, self.limit(recording), around, filled=recording.filled)
        # A child that was lost could not tell whether the mutant was there; it was not lost without it.
        applied, values = run.noted or (True, UNKNOWN)
        kind, reason = str(run.outcome.kind), run.outcome.reason
        trial = Trial(recording.test.name, kind, reason, round(run.seconds, 3), applied, values)
        self._journal.add(question, {name: value for name, value in asdict(trial).items() if name != "test"})
        return trial

    def canaries(self, recording: Recording) -> Canaries:
        """What the canaries say of a test that passes."""
        if not recording.built:
            return Canaries(recording.test.name, 0, executes(recording), None, TestOutcome.PASSED)
        calm, vanished = (
            self.ask(recording, mutation) for text in (NO_OP, VANISHED) for mutation in Mutant.parse(text).mutations
        )
        return Canaries(
            recording.test.name,
            len({each.build for each in recording.built}),
            executes(recording),
            vanished.kind if vanished.applied else None,
            calm.kind,
        )

    @contextlib.contextmanager
    def _mutated(
        self, mutation: Mutation, digest: str | None, build: int | None
    ) -> Iterator[Callable[[], tuple[bool, str]]]:
        mutant = Mutant((replace(mutation, function="*"),))
        with activate(mutant, kernel=digest, build=build, catalogue=self._catalogue) as activation:
            yield lambda: (any(each.changed for each in activation.applied), UNKNOWN)

    @contextlib.contextmanager
    def _telling(
        self, recording: Recording, mutation: Mutation, digest: str | None
    ) -> Iterator[Callable[[], tuple[bool, str]]]:
        """The mutant in all builds, with kernels that tell what they were given and left."""
        calls = KernelCalls()
        recorder = Recorder([], {each.digest for each in recording.built}, calls)
        # The recorder is inside: it is given the kernels before the mutant, and what they are lowered to after it.
        with self._mutated(mutation, digest, None) as applied, calls.listening(), caught_builds(recorder):
            before = recording.values.get(digest or "")
            yield lambda: (applied()[0], compare_values(before, calls.values().get(digest or "")))


def kernel_of(mutation: Mutation, recording: Recording) -> str | None:
    """The digest of the kernel that a mutation is for, of those that the test builds; None for a fault in all."""
    if mutation.function == "*":
        return None
    return next((each.digest for each in recording.built if each.digest.startswith(mutation.function)), None)


def _question(recording: Recording, mutation: Mutation, way: str, build: int | None) -> Question:
    code = _code(recording, kernel_of(mutation, recording))
    asked = way if build is None else f"{way} {build}"
    return Question(str(mutation), asked, code, recording.test.name, recording.test.source)


def _code(recording: Recording, digest: str | None) -> str:
    """What the question is about: what the kernel is lowered to, or all kernels of the test."""
    if digest is not None:
        return recording.code_of(digest)
    kernels = sorted({(each.digest, each.code) for each in recording.built})
    return hashlib.sha256(repr(kernels).encode()).hexdigest()

"""A command as the oracle: recorded once, believed if its canaries come out as known, then run with every mutant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tvm_mutate.activation import LoggedBuilds
from tvm_mutate.campaign.environment import package_versions
from tvm_mutate.campaign.progress import Reporter
from tvm_mutate.errors import UntrustedError, UsageError
from tvm_mutate.mutant import Catalogue, Slot
from tvm_mutate.passes import Selection
from tvm_mutate.suite.canaries import NO_OP, VANISHED
from tvm_mutate.suite.command_plan import Planned, plan_command
from tvm_mutate.suite.command_run import Command, CommandRun
from tvm_mutate.suite.journal import Question, SuiteJournal
from tvm_mutate.suite.testing import TestOutcome

EXIT_CODE, CRASH, TIMEOUT, SURVIVED, NOT_APPLIED = "exit code", "crash", "timeout", "survived", "not applied"
KILLED = (EXIT_CODE, CRASH, TIMEOUT)
_ENDED = {
    TestOutcome.EXCEPTION: EXIT_CODE,
    TestOutcome.CRASH: CRASH,
    TestOutcome.TIMEOUT: TIMEOUT,
    TestOutcome.PASSED: SURVIVED,
}
# A run may take so many times the unmutated one.
_SLACK = 5.0


@dataclass(frozen=True)
class Asked:
    """What is asked of a command: operators, sites as for :func:`plan_command`, limits and how many runs at a time."""

    operators: tuple[str, ...]
    sites: str
    seed: int
    timeout: float
    workers: int


@dataclass(frozen=True)
class CommandRow:
    """What became of a mutant: one of ``exit code``, ``crash``, ``timeout`` (killed), ``survived``, ``not applied``.

    ``compiler`` marks faults of the compiler itself, which are in no score.
    """

    mutant: str
    kernel: str
    operator: str
    ended: str
    reason: str
    seconds: float
    compiler: bool


@dataclass(frozen=True)
class CommandResults:
    """The rows of a command's mutants, in the order of the plan, and what it builds."""

    arguments: tuple[str, ...]
    builds: int
    kernels: int
    baseline_seconds: float
    rows: tuple[CommandRow, ...]
    reused: int


class CommandSession:
    """Has a command judge mutants; the journal resumes, ``reporter`` is told how far it is."""

    def __init__(
        self, command: Command, asked: Asked, catalogue: Catalogue, journal: SuiteJournal, reporter: Reporter
    ) -> None:
        self._command, self._asked, self._catalogue = command, asked, catalogue
        self._journal, self._reporter = journal, reporter
        self._source = _digest_of(command.arguments)
        self._limit = asked.timeout

    def run(self) -> CommandResults:
        """The results; raises UntrustedError for a command that fails unmutated, or that notices nothing at all."""
        try:
            with self._command.run(None) as baseline:
                return self._judged(baseline)
        except BaseException:
            self._command.stop()
            raise

    def _judged(self, baseline: CommandRun) -> CommandResults:
        recording = self._checked(baseline)
        self._limit = max(self._asked.timeout, _SLACK * baseline.seconds)
        kernels = {digest for each in recording.modules for digest in each.digests.values()}
        self._reporter.note(
            f"baseline passes in {baseline.seconds:.1f} s: builds: {recording.builds}, kernels: {len(kernels)}"
        )
        planned = plan_command(self._asked.operators, recording, self._asked.sites, self._asked.seed, self._catalogue)
        if not planned:
            raise UsageError(f"no kernel of the command has a site of {','.join(self._asked.operators)!r}")
        self._check_canaries()
        self._reporter.phase("mutants", len(planned))
        rows = dict(self._rows(planned))
        return CommandResults(
            self._command.arguments,
            recording.builds,
            len(kernels),
            baseline.seconds,
            tuple(rows[each] for each in planned),
            self._journal.reused,
        )

    def _checked(self, baseline: CommandRun) -> LoggedBuilds:
        if baseline.kind is not TestOutcome.PASSED:
            raise UntrustedError(f"the command fails without any mutant ({baseline.reason})")
        if not baseline.recording.builds:
            raise UntrustedError(
                "the command passes, and no build was seen in it; is tvm_mutate installed in the Python that it runs, "
                "and does it compile anything?"
            )
        return baseline.recording

    def _check_canaries(self) -> None:
        """Raises UntrustedError where the command fails over nothing, or passes though all stores are gone."""
        self._reporter.phase("canaries", 2)
        with self._command.run(self._limit, NO_OP) as harmless:
            self._reporter.step("")
            if harmless.kind is not TestOutcome.PASSED:
                raise UntrustedError(f"the command fails with a mutant that changes nothing, too ({harmless.reason})")
        with self._command.run(self._limit, VANISHED) as deadly:
            self._reporter.step("")
            if deadly.kind is TestOutcome.PASSED:
                raise UntrustedError(
                    "the command notices nothing: it passes with every store of every kernel removed"
                    if deadly.recording.applied
                    else "the command builds no kernel with a store, so that there is nothing to notice"
                )

    def _rows(self, planned: Sequence[Planned]) -> Iterator[tuple[Planned, CommandRow]]:
        """What became of each mutant, as it becomes known; what the journal knows is not asked again."""
        waiting = []
        for each in planned:
            answer = self._journal.answer(self._question(each))
            if answer is None:
                waiting.append(each)
            else:
                self._reporter.step(_word(answer["ended"]))
                yield each, CommandRow(**answer)
        with ThreadPoolExecutor(self._asked.workers) as pool:
            running: dict[Future[CommandRow], Planned] = {pool.submit(self._row, each): each for each in waiting}
            try:
                while running:
                    for done in wait(running, return_when=FIRST_COMPLETED).done:
                        each, row = running.pop(done), done.result()
                        self._journal.add(self._question(each), asdict(row))
                        self._reporter.step(_word(row.ended))
                        yield each, row
            except BaseException:
                self._command.stop()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _row(self, planned: Planned) -> CommandRow:
        with self._command.run(self._limit, str(planned.mutation), planned.kernel) as run:
            ended = _ENDED[run.kind] if run.recording.applied else NOT_APPLIED
            slot = Selection.resolve(planned.mutation, self._catalogue).slot
            return CommandRow(
                str(planned.mutation),
                planned.kernel,
                planned.mutation.operator,
                ended,
                run.reason,
                run.seconds,
                slot is Slot.PIPELINE,
            )

    def _question(self, planned: Planned) -> Question:
        return Question(str(planned.mutation), "command", planned.kernel, _told(self._command.arguments), self._source)


def _word(ended: str) -> str:
    return "killed" if ended in KILLED else ended


def _told(arguments: Sequence[str]) -> str:
    return json.dumps([str(Path.cwd()), *arguments])


def _digest_of(arguments: Sequence[str]) -> str:
    """A digest of the files that a command names, and of the versions: while it is the same, so are the verdicts."""
    digest = hashlib.sha256(json.dumps(package_versions()).encode())
    for argument in arguments:
        path = Path(argument)
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def command_mapping(results: CommandResults) -> dict[str, Any]:
    """The results as what JSON can hold."""
    return asdict(results)

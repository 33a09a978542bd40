"""The rows of a test-suite's or a command's results; ``suite.json``, its schema and ``command.json`` follow them."""

from __future__ import annotations

from typing import Literal

import msgspec

from tvm_mutate.mutant import Category, Slot
from tvm_mutate.oracle import Verdict
from tvm_mutate.results.rows import Count, Environment, Row, Size
from tvm_mutate.results.score import Score, score_of
from tvm_mutate.text_enum import TextEnum


class TestOutcome(TextEnum):
    """How a run of a test ended; the last four kill a mutant."""

    __test__ = False  # pytest must not take this class for a test

    PASSED = "passed"
    SKIPPED = "skipped"
    ASSERTION = "assertion"
    EXCEPTION = "exception"
    CRASH = "crash"
    TIMEOUT = "timeout"

    @property
    def kills(self) -> bool:
        """Whether a test with this outcome noticed a fault."""
        return self not in (TestOutcome.PASSED, TestOutcome.SKIPPED)


class SuiteVerdict(TextEnum):
    """The verdict of a test-suite on a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    NO_COVERAGE = "no coverage"
    NOT_APPLIED = "not applied"


class SurvivalReason(TextEnum):
    """Why a mutant survived a test-suite; the reasons that say most about the tests come first.

    ``NO_VALUE_CHECKED``: all tests that run the kernel also pass with every store of every kernel removed.
    """

    NO_VALUE_CHECKED = "ran, no test checks values"
    WITHIN_TOLERANCE = "values changed, within the tolerance"
    CANCELS_OUT = "same fault in both builds"
    UNCHANGED_VALUES = "ran, values unchanged"
    NEVER_RUN = "built, never run"
    UNKNOWN = "unknown"


class SuiteMode(TextEnum):
    """How far a suite is tested: recorded only, with canaries too, or with mutants too."""

    RECORD = "record"
    CANARY = "canary"
    RUN = "run"


class SuiteTestRow(Row, frozen=True, kw_only=True):
    """A test of a suite.

    ``kernels_executed`` is None if the test fails when its kernels are instrumented; ``obstacle`` then says how.
    ``vanished`` is the outcome with every store removed, and None if the test was not run so or stores nothing;
    ``no_op`` is the outcome with a mutant that changes nothing. ``flaky`` names the different outcomes of a test that
    ends differently in equal runs without a fault; such a test judges no mutant.
    """

    test: str
    file: str
    outcome: TestOutcome
    reason: str = ""
    seconds: Size
    builds: Count
    kernels: Count
    kernels_executed: Count | None
    kernels_unknown: Count = 0
    obstacle: str = ""
    filled_memory: bool = False
    vanished: TestOutcome | None
    no_op: TestOutcome | None = None
    notices: bool | None
    reliable: bool | None = None
    flaky: str = ""


class SuiteKernelRow(Row, frozen=True, kw_only=True):
    """A kernel that a suite builds, and the tests that build and run it."""

    kernel: str
    name: str
    sites: Count
    variants: Count
    built_by: tuple[str, ...]
    run_by: tuple[str, ...]


class SuiteTrialRow(Row, frozen=True, kw_only=True):
    """One run of a test with a mutant."""

    test: str
    kind: TestOutcome
    seconds: Size
    applied: bool


class SuiteMutantRow(Row, frozen=True, kw_only=True):
    """A mutant of a kernel of a suite; ``kind`` and ``killer`` are the outcome and the name of the test that killed.

    ``undefined`` says how its kernel certainly leaves its buffers.
    """

    id: str
    operator: str
    category: Category
    slot: Slot
    kernel: str
    name: str
    verdict: SuiteVerdict
    kind: TestOutcome | None
    killer: str | None = None
    reason: str
    before: str = ""
    after: str = ""
    difference: str = ""
    undefined: tuple[str, ...] = ()
    covering: tuple[str, ...]
    trials: tuple[SuiteTrialRow, ...]
    seconds: Size = 0.0

    @property
    def is_compiler_fault(self) -> bool:
        """Whether the mutant is a fault of the compiler itself: such mutants are in no score."""
        return self.category is Category.COMPILER_PASSES


class SuiteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a run on a suite; a file may hold more than is named here.

    ``operators`` are globs or names of sets; ``sites`` is ``all``, ``first``, ``each`` or ``sample:N``. ``builds`` says
    whether a mutant is in all builds of a test at once, or in each build in turn. ``budget`` limits the seconds for
    judging mutants; ``timeout`` is the least limit in seconds of one run of a test. ``mutants`` are ids that replace
    ``operators`` and ``sites``. ``repeats`` is the number of further unmutated runs that show whether a test is flaky.
    ``since`` is the ``suite.json`` of an earlier run, or its folder: the mutants of its kernels are left out.
    """

    mode: SuiteMode
    operators: tuple[str, ...] = ("default",)
    sites: str = "first"
    seed: int = 0
    builds: Literal["all", "each"] = "all"
    budget: float | None = None
    timeout: float = 10.0
    mutants: tuple[str, ...] = ()
    since: str | None = None
    repeats: Count = 2


class SuiteEffort(Row, frozen=True, kw_only=True):
    """The runs of tests that were made and that the journal had, the mutants, and seconds of wall-clock time."""

    trials: Count = 0
    trials_reused: Count = 0
    mutants_planned: Count = 0
    mutants_left_out: Count = 0
    seconds_recording: Size = 0.0
    seconds_canaries: Size = 0.0
    seconds_judging: Size = 0.0


class SuiteResults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that was found of a test-suite, as in ``suite.json``."""

    settings: SuiteSettings
    environment: Environment
    effort: SuiteEffort
    tests: tuple[SuiteTestRow, ...]
    kernels: tuple[SuiteKernelRow, ...]
    mutants: tuple[SuiteMutantRow, ...]
    operators_without_site: tuple[str, ...]
    schema_version: Literal[1] = 1

    @property
    def score(self) -> Score:
        """The mutation score; faults of the compiler itself are not in it."""
        return score_of(row.verdict for row in self.mutants if not row.is_compiler_fault)


class CommandOutcome(TextEnum):
    """How a command ended with a mutant; the first three kill the mutant."""

    EXIT_CODE = "exit code"
    CRASH = "crash"
    TIMEOUT = "timeout"
    SURVIVED = "survived"
    NOT_APPLIED = "not applied"

    @property
    def verdict(self) -> str:
        """``killed``, ``survived`` or ``not applied``."""
        return self if self in (CommandOutcome.SURVIVED, CommandOutcome.NOT_APPLIED) else Verdict.KILLED


class CommandRow(Row, frozen=True, kw_only=True):
    """A mutant of a command; ``compiler`` marks a fault of the compiler itself, which is in no score."""

    mutant: str
    kernel: str
    operator: str
    ended: CommandOutcome
    reason: str
    seconds: float
    compiler: bool


class CommandResults(msgspec.Struct, frozen=True, kw_only=True):
    """The mutants of a command in the order of the plan, and the builds of the command, as in ``command.json``."""

    arguments: tuple[str, ...]
    builds: int
    kernels: int
    baseline_seconds: float
    rows: tuple[CommandRow, ...]
    reused: int

    @property
    def score(self) -> Score:
        """The mutation score; faults of the compiler itself are not in it."""
        return score_of(row.ended.verdict for row in self.rows if not row.compiler)

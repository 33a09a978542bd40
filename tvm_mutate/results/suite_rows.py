"""The rows of a test-suite's results; ``suite.json`` and its schema follow from them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tvm_mutate.results.rows import Count, Environment, Row, Size
from tvm_mutate.text_enum import TextEnum


class TestOutcome(TextEnum):
    """How a run of a test ended; the last four kill a mutant."""

    __test__ = False  # no test class, whatever pytest thinks of the name

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
    """What a test-suite says of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    NO_COVERAGE = "no coverage"
    NOT_APPLIED = "not applied"


class SuiteTestRow(Row, frozen=True, kw_only=True):
    """A test of a suite.

    ``kernels_executed`` is None if the test fails when its kernels are instrumented. ``vanished`` is the outcome with
    every store removed, and None if the test was not run so or stores nothing; ``no_op`` the outcome with a mutant that
    changes nothing.
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
    """A mutant of a kernel of a suite; ``kind`` and ``killer`` are the outcome and the name of the test that killed."""

    id: str
    operator: str
    category: str
    slot: str
    kernel: str
    name: str
    verdict: SuiteVerdict
    kind: TestOutcome | None
    killer: str | None = None
    reason: str
    before: str = ""
    after: str = ""
    difference: str = ""
    covering: tuple[str, ...]
    trials: tuple[SuiteTrialRow, ...]
    seconds: Size = 0.0


class SuiteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a suite was asked for; a file may hold more than is named here."""

    mode: str
    operators: tuple[str, ...]
    sites: str
    seed: int
    builds: str


class SuiteResults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that was found of a test-suite, as in ``suite.json``.

    ``effort`` counts the runs of tests that were made and that the journal had, the mutants, and seconds.
    """

    settings: SuiteSettings
    environment: Environment
    effort: dict[str, Annotated[float, Meta(ge=0)]]
    tests: tuple[SuiteTestRow, ...]
    kernels: tuple[SuiteKernelRow, ...]
    mutants: tuple[SuiteMutantRow, ...]
    operators_without_site: tuple[str, ...]
    schema_version: Literal[1]

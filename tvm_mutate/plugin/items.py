"""Tests as pytest has collected them, as the tests of a suite."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from tvm_mutate.suite import Outcome, SuiteTest, TestOutcome

_LONGEST_REASON = 300


def suite_tests(session: pytest.Session) -> list[SuiteTest]:
    """The tests of a session, in its order."""
    return [
        SuiteTest(item.nodeid, item.nodeid.partition("::")[0], _source(item.path), functools.partial(_run, item))
        for item in session.items
    ]


@functools.cache
def _source(path: Path) -> str:
    """A digest of a test's file; of one that cannot be read, of its name."""
    try:
        content = path.read_bytes()
    except OSError:
        content = str(path).encode()
    return hashlib.sha256(content).hexdigest()


class _Failures:
    """Notes what the phases of a test raised: reports have that as text only."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:  # pragma: no cover - runs in forked children
        """Notes what was raised, and makes the report as always."""
        report = yield
        if call.excinfo is not None and report.failed:
            self.raised.append(call.excinfo.value)
        return report


def _run(item: pytest.Item) -> Outcome:
    """How a test ends, with its setup and teardown, in this process."""
    failures = _Failures()
    item.config.pluginmanager.register(failures)
    reports = runtestprotocol(item, log=False, nextitem=None)
    if any(report.failed for report in reports):
        return _failed(failures.raised[0]) if failures.raised else Outcome(TestOutcome.EXCEPTION, "it failed")
    if any(report.skipped for report in reports):
        return Outcome(TestOutcome.SKIPPED)
    return Outcome(TestOutcome.PASSED)


def _failed(error: BaseException) -> Outcome:
    kind = (
        TestOutcome.ASSERTION if isinstance(error, (AssertionError, pytest.fail.Exception)) else TestOutcome.EXCEPTION
    )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return Outcome(kind, f"{type(error).__name__}: {lines[0] if lines else ''}"[:_LONGEST_REASON])

"""The run of the pytest plugin: pytest's options and collected tests become a run on a suite, and its reports."""

from __future__ import annotations

import functools
import hashlib
import inspect
import io
import re
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

from tvm_mutate.errors import MutateError, UsageError
from tvm_mutate.operators import load_catalogue
from tvm_mutate.results import Score, SuiteMode, SuiteResults, SuiteSettings, TestOutcome
from tvm_mutate.suite import SuiteJournal, SuiteRun, SuiteTest

_TIME = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_SECONDS_BETWEEN_LINES = 5.0
_LONGEST_REASON = 300
_WIDTH = 110


def settings_of(config: pytest.Config, mode: str) -> SuiteSettings:
    """The settings that the options of pytest ask for; raises UsageError for an option without meaning."""
    timeout = config.getoption("--tvm-timeout")
    if not 0 < timeout < float("inf"):
        raise UsageError(f"--tvm-timeout {timeout} is no limit; write seconds, more than 0")
    repeats = config.getoption("--tvm-repeats")
    if repeats < 0:
        raise UsageError(f"--tvm-repeats {repeats} is no number of runs; write 0 or more")
    operators = tuple(word.strip() for word in config.getoption("--tvm-operators").split(",") if word.strip())
    if not operators:
        raise UsageError(
            "--tvm-operators names no operator; write globs separated by commas, such as 'tir.*', or default"
        )
    sites = config.getoption("--tvm-sites")
    if not re.fullmatch(r"all|first|each|sample:[1-9]\d*", sites):
        raise UsageError(f"--tvm-sites {sites!r} is not known; write all, first, each or sample:N with N at least 1")
    return SuiteSettings(
        mode=SuiteMode(mode),
        operators=operators,
        sites=sites,
        seed=config.getoption("--tvm-seed"),
        builds=config.getoption("--tvm-builds"),
        budget=_time(config.getoption("--tvm-budget")),
        timeout=timeout,
        repeats=repeats,
        mutants=tuple(dict.fromkeys(config.getoption("--tvm-mutant"))),
        since=config.getoption("--tvm-since"),
    )


def run_suite(session: pytest.Session, settings: SuiteSettings) -> Score | None:
    """Runs mutation testing on the collected tests, prints and writes the report; raises pytest.UsageError.

    Returns the score, which the report leaves to the caller; None in a mode without mutants, and if no kernel is new.
    """
    folder = Path(session.config.getoption("--tvm-output"))
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    verbose = session.config.option.verbose
    last_line = -_SECONDS_BETWEEN_LINES

    def tell(line: str) -> None:
        nonlocal last_line
        due = verbose > 0 or (verbose == 0 and time.monotonic() >= last_line + _SECONDS_BETWEEN_LINES)
        if terminal is not None and due:
            last_line = time.monotonic()
            terminal.write_line(line)

    try:
        journal = SuiteJournal(folder)
        inspect.stack()  # finds the sources of all modules once here, not in every child when TVM's parser asks
        try:
            results = SuiteRun(settings, load_catalogue(), journal, tell).run(_suite_tests(session))
        finally:
            journal.close()
        lines = _report(results, folder)
    except MutateError as error:
        raise pytest.UsageError(str(error)) from None
    if terminal is not None:
        terminal.ensure_newline()
        for line in lines:
            terminal.write_line(line)
    if settings.since is not None and not results.mutants:
        return None
    return results.score if settings.mode is SuiteMode.RUN else None


def _time(text: str | None) -> float | None:
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None or not float(match[1]):
        raise UsageError(f"--tvm-budget {text!r} is no time; write seconds, minutes or hours, such as 600s, 10m or 2h")
    return float(match[1]) * _SECONDS[match[2]]


def _report(results: SuiteResults, folder: Path) -> list[str]:
    """Writes the reports into the folder; returns the lines of the report for the terminal."""
    # A late import: TVM's parser searches all loaded modules, and tests use the parser.
    from rich.console import Console

    from tvm_mutate.report import render_suite, write_suite

    paths = write_suite(results, folder)
    console = Console(file=io.StringIO(), width=_WIDTH, highlight=False)
    with console.capture() as capture:
        for part in render_suite(results):
            console.print(part)
    return [*(line.rstrip() for line in capture.get().splitlines()), *(f"written: {path}" for path in paths)]


def _suite_tests(session: pytest.Session) -> list[SuiteTest]:
    return [
        SuiteTest(item.nodeid, item.nodeid.partition("::")[0], _source(item.path), functools.partial(_run, item))
        for item in session.items
    ]


@functools.cache
def _source(path: Path) -> str:
    """The digest of a test's file, or of the file's name if the file cannot be read."""
    try:
        content = path.read_bytes()
    except OSError:
        content = str(path).encode()
    return hashlib.sha256(content).hexdigest()


class _Failures:
    """Keeps the exceptions that the phases of a test raise: pytest's reports hold exceptions as text only."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:  # pragma: no cover - runs in forked children
        """Keeps the exception; the report stays the same."""
        report = yield
        if call.excinfo is not None and report.failed:
            self.raised.append(call.excinfo.value)
        return report


def _run(item: pytest.Item) -> tuple[TestOutcome, str]:
    """Runs a test with its setup and teardown in this process; returns the outcome and the reason of a failure."""
    failures = _Failures()
    item.config.pluginmanager.register(failures)
    reports = runtestprotocol(item, log=False, nextitem=None)
    if not any(report.failed for report in reports):
        return (TestOutcome.SKIPPED if any(report.skipped for report in reports) else TestOutcome.PASSED), ""
    if not failures.raised:
        return TestOutcome.EXCEPTION, "it failed"
    error = failures.raised[0]
    is_assertion = isinstance(error, (AssertionError, pytest.fail.Exception))
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = f"{type(error).__name__}: {lines[0] if lines else ''}"[:_LONGEST_REASON]
    return (TestOutcome.ASSERTION if is_assertion else TestOutcome.EXCEPTION), reason

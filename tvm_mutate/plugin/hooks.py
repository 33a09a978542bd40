"""The hooks of the pytest plugin: its options, and the run that replaces pytest's loop over the tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tvm_mutate.results import Score, SuiteSettings

_SETTINGS: pytest.StashKey[SuiteSettings] = pytest.StashKey()
_SCORE: pytest.StashKey[Score] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the plugin's options."""
    group = parser.getgroup("tvm-mutate", "mutation testing of a suite that builds with TVM")
    group.addoption(
        "--tvm-mutate",
        choices=("record", "canary", "run"),
        help="record: what each test builds and runs; canary: also whether the test notices removed stores; "
        "run: also which mutants of its kernels the test kills.",
    )
    group.addoption(
        "--tvm-operators",
        default="default",
        metavar="GLOBS",
        help="Operators as globs of names, separated by commas; `default` and `pipeline` are sets.",
    )
    group.addoption(
        "--tvm-sites",
        default="first",
        metavar="SITES",
        help="all (of a kernel at once), first, each, or sample:N (single sites). Default: first.",
    )
    group.addoption("--tvm-seed", type=int, default=0, help="Seed of the sample and of the order of the mutants.")
    group.addoption(
        "--tvm-builds",
        choices=("all", "each"),
        default="all",
        help="all: a mutant is in all builds of its kernel; each: in one build of a test at a time.",
    )
    group.addoption("--tvm-budget", metavar="TIME", help="Time for judging mutants, such as 600s, 10m or 2h.")
    group.addoption(
        "--tvm-repeats",
        type=int,
        default=2,
        metavar="N",
        help="Further unmutated runs of each test: a test that ends differently is flaky and judges no mutant. "
        "Default: 2.",
    )
    group.addoption(
        "--tvm-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="Limit of one run of a test, or five times its unmutated time if that is longer. Default: 10.",
    )
    group.addoption(
        "--tvm-mutant",
        action="append",
        default=[],
        metavar="ID",
        help="A mutant by its id from a report: its tests run again, and its diff is printed. Repeatable.",
    )
    group.addoption(
        "--tvm-fail-under",
        type=float,
        metavar="PERCENT",
        help="Least mutation score, 0 to 100: below it, or without a score, pytest exits with code 2.",
    )
    group.addoption(
        "--tvm-since",
        metavar="FILE",
        help="suite.json of an earlier run, or its folder: only mutants of kernels that no test built then.",
    )
    group.addoption(
        "--tvm-output",
        default=".tvm_mutate",
        metavar="FOLDER",
        help="Folder of the reports and of the journal, which later runs reuse. Default: .tvm_mutate.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Checks the plugin's options before the tests are collected; raises pytest.UsageError."""
    # A mutant by its id implies the mode.
    mode = config.getoption("--tvm-mutate") or ("run" if config.getoption("--tvm-mutant") else None)
    least = config.getoption("--tvm-fail-under")
    if least is not None and not 0 <= least <= 100:
        raise pytest.UsageError(f"--tvm-fail-under {least:g} is no percentage; write 0 to 100")
    if least is not None and mode != "run":
        raise pytest.UsageError("--tvm-fail-under needs a score: add --tvm-mutate=run, or leave it out")
    if mode is None:
        return
    if getattr(config.option, "numprocesses", None) or getattr(config.option, "tx", None):
        raise pytest.UsageError(
            "--tvm-mutate runs every test in a forked child of the process that collected all tests, but "
            "pytest-xdist spreads the tests over several processes: leave -n out, or give -n 0"
        )
    # Before the import of TVM: a forked child cannot use a thread pool of its parent.
    os.environ["TVM_NUM_THREADS"] = "1"
    from tvm_mutate.errors import MutateError
    from tvm_mutate.plugin.loop import settings_of

    try:
        config.stash[_SETTINGS] = settings_of(config, mode)
    except MutateError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Replaces pytest's loop if an option of the plugin asks for a run."""
    settings = session.config.stash.get(_SETTINGS, None)
    if settings is None or session.config.option.collectonly:
        return None
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        raise session.Interrupted("tests could not be collected; --continue-on-collection-errors goes on without them")
    from tvm_mutate.plugin.loop import run_suite

    score = run_suite(session, settings)
    if score is not None:
        session.config.stash[_SCORE] = score
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Makes the exit status the code for a score that is too low, unless the session failed otherwise."""
    score = session.config.stash.get(_SCORE, None)
    if score is None or session.exitstatus:
        return
    from tvm_mutate.errors import ExitCode, below_threshold

    reason = below_threshold(score.value, session.config.getoption("--tvm-fail-under"), "--tvm-fail-under")
    if reason is not None:
        session.exitstatus = ExitCode.BELOW_THRESHOLD
        _write_line(session.config, reason)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Prints the score as the last line of the session, after pytest's own summary."""
    score = config.stash.get(_SCORE, None)
    if score is None:
        return
    from tvm_mutate.report import score_line

    _write_line(config, score_line(score).plain)


def _write_line(config: pytest.Config, line: str) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        terminal.ensure_newline()
        terminal.write_line(line)

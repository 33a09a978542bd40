"""The hooks of the pytest plugin: its options, and the loop that takes the place of pytest's own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tvm_mutate.suite import Settings

_MODES = ("record", "canary", "run")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the plugin's options."""
    group = parser.getgroup("tvm-mutate", "mutation testing of a suite that builds with TVM")
    group.addoption(
        "--tvm-mutate",
        choices=_MODES,
        help="record: what each test builds and runs; canary: and whether it notices that the output vanishes; "
        "run: and which mutants of the kernels it kills.",
    )
    group.addoption(
        "--tvm-mutants",
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
    group.addoption("--tvm-seed", type=int, default=0, help="Seed of the sample, and of the order of the mutants.")
    group.addoption(
        "--tvm-builds",
        choices=("all", "each"),
        default="all",
        help="all: a mutant is in all builds of its kernel; each: in one build of a test at a time.",
    )
    group.addoption("--tvm-budget", metavar="TIME", help="Time for judging mutants, such as 600s, 10m or 2h.")
    group.addoption(
        "--tvm-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="Limit of one run of a test, or five times its own time where that is longer. Default: 10.",
    )
    group.addoption(
        "--tvm-mutant",
        action="append",
        default=[],
        metavar="ID",
        help="A mutant by its id, as reports have it: it is run again, and its difference printed. Repeatable.",
    )
    group.addoption(
        "--tvm-output",
        default=".tvm_mutate",
        metavar="FOLDER",
        help="Folder of the journal, from which later sessions go on, and of the reports. Default: .tvm_mutate.",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Refuses what cannot be, before anything is collected."""
    mode = _mode(config)
    if mode is None:
        return
    if getattr(config.option, "numprocesses", None) or getattr(config.option, "tx", None):
        raise pytest.UsageError(
            "--tvm-mutate runs every test in a forked child of one process that has collected them all, and "
            "pytest-xdist spreads them over several: leave -n out, or give -n 0"
        )
    # Before TVM is imported: a forked child cannot use a thread pool of its parent.
    os.environ["TVM_NUM_THREADS"] = "1"
    _settings(config, mode)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Takes the place of pytest's own loop where the plugin is asked for."""
    mode = _mode(session.config)
    if mode is None or session.config.option.collectonly:
        return None
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        raise session.Interrupted("tests could not be collected; --continue-on-collection-errors goes on without them")
    from tvm_mutate.plugin.loop import run_session

    run_session(session, _settings(session.config, mode))
    return True


def _mode(config: pytest.Config) -> str | None:
    """The mode that is asked for; a mutant by its id is run without it being said."""
    mode = config.getoption("--tvm-mutate")
    return str(mode) if mode else "run" if config.getoption("--tvm-mutant") else None


def _settings(config: pytest.Config, mode: str) -> Settings:
    from tvm_mutate.errors import MutateError
    from tvm_mutate.plugin.options import settings_of

    try:
        return settings_of(config, mode)
    except MutateError as error:
        raise pytest.UsageError(str(error)) from None

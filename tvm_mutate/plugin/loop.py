"""What takes the place of pytest's loop: a session of ours on the tests that pytest has collected."""

from __future__ import annotations

import inspect
import time
from pathlib import Path

import pytest

from tvm_mutate.errors import MutateError
from tvm_mutate.operators import load_catalogue
from tvm_mutate.plugin.items import suite_tests
from tvm_mutate.suite import Session, Settings, SuiteJournal

_SECONDS_BETWEEN_LINES = 5.0


def run_session(session: pytest.Session, settings: Settings) -> None:
    """Runs a session, prints its report and writes it into the output folder; raises pytest.UsageError."""
    folder = Path(session.config.getoption("--tvm-output"))
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")

    told = -_SECONDS_BETWEEN_LINES

    def tell(line: str) -> None:
        nonlocal told
        verbose = session.config.option.verbose
        if terminal is None or verbose < 0 or (not verbose and time.monotonic() < told + _SECONDS_BETWEEN_LINES):
            return
        told = time.monotonic()
        terminal.write_line(line)

    try:
        journal = SuiteJournal(folder)
        _warm_up()
        try:
            results = Session(settings, load_catalogue(), journal, tell).run(suite_tests(session))
        finally:
            journal.close()
        # Imported only now: TVM's parser looks at all modules that there are, again and again, and tests use it.
        from tvm_mutate.plugin.reporting import report

        lines = report(results, folder)
    except MutateError as error:
        raise pytest.UsageError(str(error)) from None
    if terminal is not None:
        terminal.ensure_newline()
        for line in lines:
            terminal.write_line(line)


def _warm_up() -> None:
    """Has Python look up the sources of all modules once here, and not once in every child when TVM's parser asks."""
    inspect.stack()

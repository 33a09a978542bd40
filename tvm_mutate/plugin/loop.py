"""What takes the place of pytest's loop: a session of ours on the tests that pytest has collected."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tvm_mutate.errors import MutateError
from tvm_mutate.operators import load_catalogue
from tvm_mutate.plugin.items import suite_tests
from tvm_mutate.report import render_suite, write_suite
from tvm_mutate.suite import Session, Settings, SuiteJournal, SuiteResults

_WIDTH = 110


def run_session(session: pytest.Session, settings: Settings) -> None:
    """Runs a session, prints its report and writes it into the output folder; raises pytest.UsageError."""
    folder = Path(session.config.getoption("--tvm-output"))
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")

    def tell(line: str) -> None:
        if terminal is not None and session.config.option.verbose >= 0:
            terminal.write_line(line)

    try:
        journal = SuiteJournal(folder)
        try:
            results = Session(settings, load_catalogue(), journal, tell).run(suite_tests(session))
        finally:
            journal.close()
        paths = write_suite(results, folder)
    except MutateError as error:
        raise pytest.UsageError(str(error)) from None
    if terminal is not None:
        terminal.ensure_newline()
        for line in [*_rendered(results), *(f"written: {path}" for path in paths)]:
            terminal.write_line(line)


def _rendered(results: SuiteResults) -> list[str]:
    console = Console(file=io.StringIO(), width=_WIDTH, highlight=False)
    with console.capture() as capture:
        for part in render_suite(results):
            console.print(part)
    return capture.get().splitlines()

"""The reports of a session, for the terminal and as files."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import msgspec
from rich.console import Console

from tvm_mutate.campaign.environment import environment
from tvm_mutate.report import render_suite, write_suite
from tvm_mutate.suite import SuiteResults

_WIDTH = 110


def report(results: SuiteResults, folder: Path) -> list[str]:
    """The lines of the report for the terminal, after its files were written; raises UsageError."""
    results = replace(results, environment=msgspec.to_builtins(environment()))
    paths = write_suite(results, folder)
    console = Console(file=io.StringIO(), width=_WIDTH, highlight=False)
    with console.capture() as capture:
        for part in render_suite(results):
            console.print(part)
    return [*(line.rstrip() for line in capture.get().splitlines()), *(f"written: {path}" for path in paths)]

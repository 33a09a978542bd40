"""Runs on the small suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tvm_mutate.operators import load_catalogue
from tvm_mutate.results import SuiteMode, SuiteResults, SuiteSettings
from tvm_mutate.suite import SuiteJournal, SuiteRun, SuiteTest

from . import small_suite

FAULT = "tir.replace-float-arithmetic"


def run_suite(folder: Path, tests: Sequence[SuiteTest], **settings: Any) -> SuiteResults:
    chosen = {"mode": SuiteMode.RUN, "operators": (FAULT,), "timeout": 2.0, "repeats": 0, **settings}
    journal = SuiteJournal(folder)
    try:
        return SuiteRun(SuiteSettings(**chosen), load_catalogue(), journal, lambda _line: None).run(tests)
    finally:
        journal.close()


ALL_TESTS = (
    small_suite.asserts,
    small_suite.raises,
    small_suite.crashes_on_fault,
    small_suite.hangs_on_fault,
    small_suite.exits_on_fault,
    small_suite.compares_two_builds,
    small_suite.runs_and_notices_nothing,
    small_suite.allows_much,
    small_suite.builds_and_runs_nothing,
    small_suite.always_fails,
    small_suite.adds_nothing,
    small_suite.forks_and_returns,
    small_suite.builds_nothing,
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> SuiteResults:
    """The results of the whole small suite."""
    return run_suite(tmp_path_factory.mktemp("suite"), [small_suite.suite_test(each) for each in ALL_TESTS])

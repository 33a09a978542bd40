"""The reports of a test-suite, one file a format."""

from __future__ import annotations

from pathlib import Path

from tvm_mutate.report.suite_markdown import write_suite_markdown
from tvm_mutate.report.suite_score import SuiteScores, suite_scores
from tvm_mutate.report.suite_terminal import render_suite
from tvm_mutate.results import write_suite_json
from tvm_mutate.suite import SuiteResults

__all__ = ["SuiteScores", "render_suite", "suite_scores", "write_suite"]


def write_suite(results: SuiteResults, folder: str | Path) -> tuple[Path, Path]:
    """Writes the reports of a suite into the folder; returns their paths. Raises UsageError where that cannot be."""
    return write_suite_json(results.to_mapping(), folder), write_suite_markdown(results, folder)

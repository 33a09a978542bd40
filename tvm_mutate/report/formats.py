"""The formats of reports by name, and the reports of a folder of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tvm_mutate.errors import UsageError, suggestion
from tvm_mutate.report.csv_report import write_csv
from tvm_mutate.report.elements_report import write_elements
from tvm_mutate.report.findings import Report
from tvm_mutate.report.github_report import write_github
from tvm_mutate.report.html_report import write_html
from tvm_mutate.report.junit_report import write_junit
from tvm_mutate.report.markdown_report import write_markdown
from tvm_mutate.report.pictures import write_pictures
from tvm_mutate.report.sarif_report import write_sarif
from tvm_mutate.results import Results

Writer = Callable[[Report, Path], Iterable[Path]]


def _of_campaigns(write: Callable[[Results, Path], Iterable[Path]], name: str) -> Writer:
    def write_report(report: Report, folder: Path) -> Iterable[Path]:
        if not isinstance(report.results, Results):
            raise UsageError(f"the format {name} is for campaigns; a test suite has its rows in suite.json")
        return write(report.results, folder)

    return write_report


FORMATS: Mapping[str, Writer] = {
    "json": write_elements,
    "html": write_html,
    "sarif": write_sarif,
    "junit": write_junit,
    "markdown": write_markdown,
    "github": write_github,
    "csv": _of_campaigns(write_csv, "csv"),
    "pictures": _of_campaigns(write_pictures, "pictures"),
}


def check_formats(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once; raises UsageError for one that is no format."""
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"there is no report {name!r}{suggestion(name, FORMATS)}; there are {', '.join(FORMATS)}")
    return tuple(dict.fromkeys(names))


def write_reports(report: Report, formats: Iterable[str], folder: Path) -> list[Path]:
    """Writes the report in each of the formats into the folder; returns the paths. Raises UsageError."""
    return [path for name in check_formats(formats) for path in FORMATS[name](report, folder)]

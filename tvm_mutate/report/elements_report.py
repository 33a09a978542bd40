"""The report ``mutation-report.json``, in the form of mutation-testing-report-schema 2 (the format of Stryker)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tvm_mutate.oracle import Outcome, Verdict
from tvm_mutate.report.findings import ACCEPTED, NOT_APPLIED, Finding, Report
from tvm_mutate.results import package_versions, write_whole

FILE = "mutation-report.json"
# A mutant that ends in a crash counts as killed there as here: "RuntimeError" would leave it out of the score.
_STATUS = {
    Verdict.KILLED: "Killed",
    Verdict.SURVIVED: "Survived",
    Verdict.EQUIVALENT: "Ignored",
    Verdict.NO_COVERAGE: "NoCoverage",
    ACCEPTED: "Ignored",
    NOT_APPLIED: "Ignored",
    Outcome.COMPILE_ERROR: "CompileError",
    Outcome.DEVICE_LOST: "Pending",
}


def write_elements(report: Report, folder: Path) -> list[Path]:
    """Writes the report into the folder; returns its path. Raises UsageError if the file cannot be written."""
    return [write_whole(folder / FILE, [json.dumps(elements(report))])]


def elements(report: Report) -> dict[str, Any]:
    """The report as JSON values: functions are files, with their TVMScript or generated code."""
    mutants: dict[str, list[dict[str, Any]]] = {name: [] for name in report.files}
    for finding in report.findings:
        mutants[finding.place.file].append(_mutant(finding, report.files[finding.place.file].text))
    return {
        "schemaVersion": "2.0",
        "thresholds": {"high": 80, "low": 60},
        "framework": {"name": "tvm_mutate", "version": package_versions()["tvm-mutate"]},
        "files": {
            name: {"language": file.language, "source": file.text, "mutants": mutants[name]}
            for name, file in report.files.items()
        },
        "testFiles": {
            file: {"tests": [{"id": name, "name": name} for name in names]} for file, names in report.tests.items()
        },
    }


def _mutant(finding: Finding, source: str) -> dict[str, Any]:
    place = finding.place
    lines = source.splitlines() or [""]
    last = min(place.last, len(lines))
    timeout = finding.status == Verdict.KILLED and finding.ending == Outcome.TIMEOUT
    mutant: dict[str, Any] = {
        "id": finding.key,
        "mutatorName": finding.operator,
        "description": finding.id,
        "location": {
            "start": {"line": min(place.first, last), "column": 1},
            "end": {"line": last, "column": len(lines[last - 1]) + 1},
        },
        "status": "Timeout" if timeout else _STATUS[finding.status],
        "statusReason": f"{finding.status}: {finding.reason}" if finding.reason else finding.status,
        "duration": 1000 * finding.seconds,
        "coveredBy": finding.covered_by,
        "killedBy": [finding.killed_by] if finding.killed_by else [],
    }
    return {**mutant, "replacement": place.replacement} if place.replacement else mutant

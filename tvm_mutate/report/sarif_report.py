"""The report ``report.sarif`` in SARIF 2.1.0: survivors as results, accepted ones as suppressed results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import xxhash

from tvm_mutate.oracle import Verdict
from tvm_mutate.report.findings import ACCEPTED, Finding, Report
from tvm_mutate.results import package_versions, write_whole

FILE = "report.sarif"


def write_sarif(report: Report, folder: Path) -> list[Path]:
    """Writes the report into the folder; returns its path. Raises UsageError if the file cannot be written."""
    return [write_whole(folder / FILE, [json.dumps(sarif(report))])]


def sarif(report: Report) -> dict[str, Any]:
    """The report as JSON values; the operators are its rules, the functions with survivors its artifacts."""
    shown = [each for each in report.findings if each.status in (Verdict.SURVIVED, ACCEPTED)]
    rules = {each.operator: each.category for each in shown}
    files = dict.fromkeys(each.place.file for each in shown)
    driver = {
        "name": "tvm_mutate",
        "version": package_versions()["tvm-mutate"],
        "rules": [
            {
                "id": operator,
                "shortDescription": {"text": f"A mutant of {operator} survived"},
                "properties": {"category": category},
            }
            for operator, category in rules.items()
        ],
    }
    artifacts = [{"location": _location(name), "contents": {"text": report.files[name].text}} for name in files]
    results = [_result(each, list(rules).index(each.operator)) for each in shown]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "artifacts": artifacts, "results": results}],
    }


def _location(file: str) -> dict[str, str]:
    return {"uri": quote(file, errors="backslashreplace")}


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    place = finding.place
    result: dict[str, Any] = {
        "ruleId": finding.operator,
        "ruleIndex": rule,
        "level": "warning",
        "message": {"text": f"{finding.key} survived: {finding.reason}. See: {finding.command}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": _location(place.file),
                    "region": {"startLine": place.first, "endLine": place.last},
                }
            }
        ],
        "partialFingerprints": {"mutant/v1": xxhash.xxh3_128_hexdigest(finding.key.encode(errors="backslashreplace"))},
        "properties": {"rung": finding.rung, "difference": place.difference},
    }
    if finding.status == ACCEPTED:
        result["suppressions"] = [{"kind": "external", "justification": finding.reason}]
    return result

"""The report ``junit.xml``: a test suite for each model and device, in which survivors are failures."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from tvm_mutate.oracle import Outcome, Verdict
from tvm_mutate.report.findings import Finding, Report
from tvm_mutate.results import write_whole

FILE = "junit.xml"
# What XML 1.0 allows no document to hold.
_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ERRORS = (Outcome.COMPILE_ERROR, Outcome.DEVICE_LOST)


def write_junit(report: Report, folder: Path) -> list[Path]:
    """Writes the report into the folder; returns its path. Raises UsageError if the file cannot be written."""
    text = ElementTree.tostring(junit(report), encoding="unicode", xml_declaration=True)
    return [write_whole(folder / FILE, [text])]


def junit(report: Report) -> ElementTree.Element:
    """The report as XML: killed mutants pass, survivors fail, mutants without a verdict are errors, others skipped."""
    groups: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        groups[" on ".join(filter(None, (finding.model, finding.device))) or report.title].append(finding)
    top = ElementTree.Element("testsuites", name="tvm_mutate")
    for name, findings in groups.items():
        kinds = [_kind(each) for each in findings]
        counts = {"failures": "failure", "errors": "error", "skipped": "skipped"}
        numbers = {attribute: str(kinds.count(kind)) for attribute, kind in counts.items()}
        seconds = f"{sum(each.seconds for each in findings):.3f}"
        suite = ElementTree.SubElement(top, "testsuite", name=_clean(name), tests=str(len(findings)), time=seconds)
        suite.attrib.update(numbers)
        for finding, kind in zip(findings, kinds, strict=True):
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=_clean(finding.operator),
                name=_clean(finding.id),
                time=f"{finding.seconds:.3f}",
            )
            if kind:
                message = _clean(f"{finding.status}: {finding.reason}")
                ElementTree.SubElement(case, kind, message=message).text = _clean(
                    f"{finding.command}\n{finding.place.difference}"
                )
    return top


def _kind(finding: Finding) -> str:
    if finding.status == Verdict.SURVIVED:
        return "failure"
    return "error" if finding.status in _ERRORS else "" if finding.status == Verdict.KILLED else "skipped"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)

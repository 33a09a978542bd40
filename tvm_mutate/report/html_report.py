"""The report ``report.html``: one page that needs no network, to browse mutants, kernels and their text."""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections import Counter
from pathlib import Path
from typing import Any

from tvm_mutate.errors import UsageError
from tvm_mutate.oracle import Rung
from tvm_mutate.report.elements_report import elements
from tvm_mutate.report.findings import Finding, Report
from tvm_mutate.report.npm import NpmFile
from tvm_mutate.report.tables import score_line
from tvm_mutate.results import write_whole

FILE = "report.html"
# The viewer of mutation-testing reports that Stryker has (Apache-2.0).
VIEWER = NpmFile(
    "mutation-testing-elements",
    "3.9.0",
    "3G4GhBO8Wc/ZrqOJ5uT8AbM1h/ew9kfX0MIlpy59gWu/amMZyKH3TreKAOMwwXNibhZMOL7A3n5nFvhYWLdtYQ==",
    "dist/mutation-test-elements.js",
)
_TEMPLATE = Path(__file__).with_name("page.html")


def write_html(report: Report, folder: Path) -> list[Path]:
    """Writes the page into the folder; returns its path. Raises UsageError if the file cannot be written.

    The view of the text of each function is mutation-testing-elements. If npm cannot get it, the page says so and has
    everything else.
    """
    try:
        viewer, obstacle = VIEWER.read(), ""
    except UsageError as error:
        viewer, obstacle = "", str(error)
    return [write_whole(folder / FILE, [page(report, viewer, obstacle)])]


def page(report: Report, viewer: str, obstacle: str = "") -> str:
    """The page; ``viewer`` is the script of the viewer, or empty if ``obstacle`` says why it is missing."""
    data = {
        "findings": [_values(each) for each in report.findings],
        "rungs": list(map(str, Rung)),
        "counts": Counter(each.status for each in report.findings).most_common(),
        "obstacle": obstacle,
    }
    if viewer:
        viewer = f"/* {VIEWER.package} {VIEWER.version}, Apache-2.0 */\n{viewer}"
    parts = {
        "title": html.escape(report.title),
        "score": html.escape(score_line(report.score).plain),
        "data": _packed(data),
        "elements": _packed(elements(report) if viewer else None),
        "viewer": viewer,
    }
    first, *rest = _TEMPLATE.read_text(encoding="utf-8").split("{{")
    return first + "".join(parts[name] + text for name, text in (each.split("}}", 1) for each in rest))


def _values(finding: Finding) -> dict[str, Any]:
    """The fields of a finding that are not empty."""
    values = {name: value for name, value in vars(finding).items() if name != "place" and value}
    place = finding.place
    return {**values, "file": place.file, "line": place.first, "change": place.difference}


def _packed(value: Any) -> str:
    """JSON, compressed, in base64: a tenth of the size, and no text in it can end the script element that holds it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    content = text.encode(errors="replace")  # Chromium stops at a surrogate without its pair
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()

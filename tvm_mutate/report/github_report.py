"""The report ``annotations.txt``: workflow commands that show the worst survivors as annotations on GitHub."""

from __future__ import annotations

from pathlib import Path

from tvm_mutate.report.findings import Report
from tvm_mutate.report.tables import percent
from tvm_mutate.results import write_whole

FILE = "annotations.txt"
_MOST = 10  # GitHub shows ten warnings of a step


def write_github(report: Report, folder: Path) -> list[Path]:
    """Writes the annotations; GitHub reads them from the output of a step: ``cat annotations.txt``."""
    return [write_whole(folder / FILE, [line + "\n" for line in workflow_commands(report)])]


def workflow_commands(report: Report) -> list[str]:
    """A warning for each of the ten worst survivors, and a notice with the score."""
    score = f"{percent(report.score.value)} % ({report.score.killed} of {report.score.decided} killed)"
    survivors = report.survivors
    found = [
        f"::warning title={_property(f'Survived: {each.operator}')}::"
        + _data(f"{each.key} ({each.place.file}:{each.place.first}): {each.reason}. {each.command}")
        for each in survivors[:_MOST]
    ]
    return [*found, f"::notice title=Mutation score::{_data(f'{score}, {len(survivors)} survived')}"]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

"""The faults of TVM that docs/findings.md reports still show: every program in it is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = (Path(__file__).parents[1] / "docs" / "findings.md").read_text()
# A program, and the generated code that the document shows after it.
FINDINGS = re.findall(r"```python\n(.*?)```.*?```c\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_document_has_programs_to_run():
    assert len(FINDINGS) == DOCUMENT.count("```python") >= 2


@pytest.mark.parametrize(("program", "code"), FINDINGS, ids=range(len(FINDINGS)))
def test_a_program_prints_the_faulty_code_that_the_document_shows(tmp_path: Path, program: str, code: str):
    file = tmp_path / "program.py"  # TVMScript reads the source of what it parses
    file.write_text(program)
    printed = subprocess.run([sys.executable, file], capture_output=True, text=True, check=True).stdout
    lines = [line.strip() for line in printed.splitlines()]
    assert [line for line in map(str.strip, code.splitlines()) if line not in lines] == []

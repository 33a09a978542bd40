"""Every measuring script starts from the repository's root and says what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = (
    "census",
    "exactness",
    "floor",
    "hostility",
    "memory",
    "pipeline_faults",
    "resumption",
    "throughput",
    "workers",
)
WITH_PSUTIL = ("memory", "resumption")


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_explains_itself(name: str):
    if name in WITH_PSUTIL:
        pytest.importorskip("psutil")
    asked = [sys.executable, f"benchmarks/{name}.py", "--help"]
    finished = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "Usage: " in finished.stdout

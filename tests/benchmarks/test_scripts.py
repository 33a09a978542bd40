"""Every measuring script starts from the repository's root and says what it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = (
    "catalogue",
    "census",
    "cuda_code",
    "enumeration",
    "exactness",
    "floor",
    "hostility",
    "inactive_overhead",
    "memory",
    "native",
    "pipeline_faults",
    "resumption",
    "suite_score",
    "switchable",
    "throughput",
    "workers",
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_explains_itself(name: str):
    asked = [sys.executable, f"benchmarks/{name}.py", "--help"]
    finished = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "Usage: " in finished.stdout

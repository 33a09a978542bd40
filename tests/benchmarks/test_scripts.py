"""Every measuring script starts from the repository's root and says what it does."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tvm_mutate.kernels import cuda_architecture

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = (
    "any_program",
    "catalogue",
    "census",
    "coupling",
    "cuda_code",
    "enumeration",
    "exactness",
    "floor",
    "gpu",
    "hostility",
    "inactive_overhead",
    "memory",
    "native",
    "pipeline_faults",
    "redundancy",
    "resumption",
    "self_mutation",
    "suite_score",
    "throughput",
    "workers",
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_explains_itself(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [f"benchmarks/{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:  # in this process, because TVM's import takes a second
        runpy.run_path(f"benchmarks/{name}.py", run_name="__main__")
    assert not ended.value.code
    assert "Usage: " in capsys.readouterr().out


@pytest.mark.skipif(bool(cuda_architecture()), reason="there is a GPU")
def test_campaigns_on_a_gpu_are_refused_in_one_sentence_where_none_is():
    asked = [sys.executable, "benchmarks/gpu.py"]
    finished = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr == "Error: no GPU for CUDA is here, or its driver does not answer\n"
